import assert from 'node:assert/strict'
import { test } from 'node:test'
import replyFrom from '@fastify/reply-from'
import gateway from '../app.ts'
import { bodiesOf, createApp, startNamed, toOne } from './plugin-helper.ts'

test('with a prefix, the paths of matches are below it', async (t) => {
  const app = createApp(t)
  app.get('/', async () => 'own')
  const url = await startNamed(t, 'api')
  await app.register(gateway, {
    prefix: '/api',
    upstreams: { api: { targets: [url] } },
    routes: [
      { match: { path: '/users/*' }, upstream: 'api', rewrite: { prefix: '/v1' } },
      { match: { path: '/*' }, upstream: 'api' }
    ]
  })

  const bodies = await bodiesOf(app, ['/', '/api/users/7', '/api/other', '/api', '/api/'])
  const outside = await app.inject('/users/7')

  assert.deepEqual(bodies, ['own', 'api /v1/7', 'api /api/other', 'api /api', 'api /api/'])
  assert.equal(outside.statusCode, 404)
})

test('the prefix of a scope and that of the gateway add up', async (t) => {
  const app = createApp(t)
  const url = await startNamed(t, 'api')
  await app.register(
    async (scope) => {
      await scope.register(gateway, { prefix: '/inner', ...toOne(url, '/users/*') })
    },
    { prefix: '/outer' }
  )

  const { body } = await app.inject('/outer/inner/users/7')

  assert.equal(body, 'api /outer/inner/users/7')
})

for (const { name, prefixes, paths } of [
  { name: 'with prefixes', prefixes: ['/one', '/two'], paths: ['/*', '/*'] },
  { name: 'without prefixes, on paths of their own', prefixes: ['', ''], paths: ['/one/*', '/two/*'] }
]) {
  test(`two gateways in two scopes ${name} do not disturb each other`, async (t) => {
    const app = createApp(t)
    for (const [i, target] of ['first', 'second'].entries()) {
      const options = toOne(await startNamed(t, target), paths[i])
      await app.register(
        async (scope) => {
          await scope.register(gateway, options)
          scope.middleware.use({ name: 'mark', onSend: ({ reply }) => void reply.header('x-gateway', target) })
        },
        { prefix: prefixes[i] ?? '' }
      )
    }

    const answers = [await app.inject('/one/x'), await app.inject('/two/x')]

    assert.deepEqual(
      answers.map(({ body, headers }) => `${headers['x-gateway']}: ${body}`),
      ['first: first /one/x', 'second: second /two/x']
    )
    assert.equal(app.hasDecorator('balancers'), false)
  })
}

test('two gateways in one scope work side by side', async (t) => {
  const app = createApp(t)
  const [first, second] = [await startNamed(t, 'first'), await startNamed(t, 'second')]
  await app.register(gateway, toOne(first, '/one/*'))
  await app.register(gateway, {
    upstreams: { more: { targets: [second] } },
    routes: [{ id: 'more', match: { path: '/two/*' }, upstream: 'more' }]
  })

  const bodies = await bodiesOf(app, ['/one/x', '/two/x'])

  assert.deepEqual(bodies, ['first /one/x', 'second /two/x'])
})

test('two gateways in one scope cannot define the same upstream', async (t) => {
  const app = createApp(t)
  await app.register(gateway, toOne('http://127.0.0.1:1', '/one/*'))

  const boot = async () => {
    await app.register(gateway, toOne('http://127.0.0.1:2', '/two/*'))
  }

  await assert.rejects(boot, { code: 'FST_GATEWAY_DUPLICATE_UPSTREAM' })
})

test('a gateway in an inner scope has upstreams of its own, also under a name of the outer one', async (t) => {
  const app = createApp(t)
  const [outer, inner] = [await startNamed(t, 'outer'), await startNamed(t, 'inner')]
  await app.register(gateway, toOne(outer, '/one/*'))
  await app.register(async (scope) => {
    await scope.register(gateway, toOne(inner, '/two/*'))
  })

  const bodies = await bodiesOf(app, ['/one/x', '/two/x'])

  assert.deepEqual(bodies, ['outer /one/x', 'inner /two/x'])
})

test('layers of the gateway do not run for own routes', async (t) => {
  const app = createApp(t)
  app.get('/own', async () => 'own')
  await app.register(gateway, {
    ...toOne(await startNamed(t, 'api')),
    layers: [{ name: 'mark', onSend: ({ reply }) => void reply.header('x-mark', 'yes') }]
  })

  const own = await app.inject('/own')
  const proxied = await app.inject('/x')

  assert.equal(own.headers['x-mark'], undefined)
  assert.equal(proxied.headers['x-mark'], 'yes')
})

test('reply.from of the application works beside the gateway', async (t) => {
  const app = createApp(t)
  await app.register(replyFrom, { base: await startNamed(t, 'other') })
  app.get('/own', (_request, reply) => reply.from('/elsewhere'))
  await app.register(gateway, toOne(await startNamed(t, 'api')))

  const bodies = await bodiesOf(app, ['/own', '/x'])

  assert.deepEqual(bodies, ['other /elsewhere', 'api /x'])
})
