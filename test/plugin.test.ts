import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyPluginAsync } from 'fastify'
import gateway from '../app.ts'
import { InvalidConfigError } from '../plugins/errors.ts'
import { freePort } from './helper.ts'
import { bodiesOf, createApp, startNamed, toOne } from './plugin-helper.ts'

for (const order of ['before', 'after'] as const) {
  test(`own routes registered ${order} the gateway win over it`, async (t) => {
    const app = createApp(t)
    const ownRoutes = () => {
      app.get('/own', async () => 'own')
      app.get('/items/:id', async () => 'item')
    }
    if (order === 'before') ownRoutes()
    await app.register(gateway, toOne(await startNamed(t, 'api')))
    if (order === 'after') ownRoutes()

    const bodies = await bodiesOf(app, ['/own', '/items/1', '/items/1/more', '/other'])

    assert.deepEqual(bodies, ['own', 'item', 'api /items/1/more', 'api /other'])
  })
}

test('an own route wins for its method only', async (t) => {
  const app = createApp(t)
  app.get('/own', async () => 'own')
  await app.register(gateway, toOne(await startNamed(t, 'api')))

  const { body } = await app.inject({ method: 'POST', url: '/own' })

  assert.equal(body, 'api /own')
})

test('body parsers of the application stay as they are', async (t) => {
  const app = createApp(t)
  app.post('/own', async ({ body }) => body)
  await app.register(gateway, toOne(await startNamed(t, 'api')))

  const parsed = await app.inject({ method: 'POST', url: '/own', payload: { a: 1 } })
  const refused = await app.inject({
    method: 'POST',
    url: '/own',
    headers: { 'content-type': 'application/x-unknown' },
    payload: 'x'
  })

  assert.deepEqual(parsed.json(), { a: 1 })
  assert.equal(refused.statusCode, 415)
})

test('hooks of the application run for proxied routes, in their order', async (t) => {
  const app = createApp(t)
  const trace: string[] = []
  app.addHook('onRequest', async () => void trace.push('onRequest'))
  app.addHook('preHandler', async () => void trace.push('preHandler'))
  app.addHook('onSend', async (_request, reply, payload) => {
    trace.push('onSend')
    reply.header('x-hooked', 'yes')
    return payload
  })
  app.addHook('onResponse', async (_request, reply) => void trace.push(`onResponse ${reply.statusCode}`))
  await app.register(gateway, toOne(await startNamed(t, 'api')))

  const { body, headers } = await app.inject('/x')

  assert.equal(body, 'api /x')
  assert.equal(headers['x-hooked'], 'yes')
  assert.deepEqual(trace, ['onRequest', 'preHandler', 'onSend', 'onResponse 200'])
})

test('an onSend hook added after the gateway may replace the body of a proxied response', async (t) => {
  const app = createApp(t)
  await app.register(gateway, toOne(await startNamed(t, 'api')))
  app.addHook('onSend', async (_request, _reply, payload) => `<${payload}>`)

  const { body, headers } = await app.inject('/x')

  assert.equal(body, '<api /x>')
  assert.equal(headers['content-length'], '8')
})

test("the gateway's errors reach the error handler of the application", async (t) => {
  const app = createApp(t)
  app.setErrorHandler((error, _request, reply) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return reply.code(599).send({ handled: code })
  })
  await app.register(gateway, toOne(`http://127.0.0.1:${await freePort()}`))

  const failed = await app.inject('/x')
  const bad = await app.inject('/a%00b')

  assert.deepEqual([failed.statusCode, failed.json()], [599, { handled: 'FST_GATEWAY_CONNECT_FAILED' }])
  assert.deepEqual([bad.statusCode, bad.json()], [599, { handled: 'FST_GATEWAY_BAD_PATH' }])
})

test('what no route matches is answered by the 404 handler of the application', async (t) => {
  const app = createApp(t)
  app.setNotFoundHandler((request, reply) => reply.code(404).send(`nothing at ${request.url}`))
  const options = toOne(await startNamed(t, 'api'), '/users/7')
  await app.register(gateway, options)

  const answers = [await app.inject('/users/8'), await app.inject('/elsewhere')]

  assert.deepEqual(
    answers.map(({ statusCode, body }) => `${statusCode} ${body}`),
    ['404 nothing at /users/8', '404 nothing at /elsewhere']
  )
})

test('faults of the options stop the boot, all of them named', async (t) => {
  const app = createApp(t)

  const boot = async () => {
    await app.register(gateway, {
      upstreams: { api: { targets: ['nowhere'] } },
      routes: [{ match: { path: 'users' }, upstream: 'apo' }]
    })
  }

  await assert.rejects(boot, (error) => {
    assert.ok(error instanceof InvalidConfigError)
    assert.match(error.message, /options\.upstreams\.api\.targets\[0\]/)
    assert.match(error.message, /options\.routes\[0\]\.match\.path/)
    assert.match(error.message, /'apo'/)
    return true
  })
})

test('without options, the plugin reads the environment, as fastify-cli starts it', async (t) => {
  process.env.GATEWAY_TARGETS = await startNamed(t, 'from the environment')
  t.after(() => delete process.env.GATEWAY_TARGETS)
  const app = createApp(t)
  const plugin: FastifyPluginAsync = (await import('../app.ts')).default
  await app.register(plugin, {})

  const { body } = await app.inject('/x')

  assert.equal(body, 'from the environment /x')
})

test('a target that joins while the application runs gets requests, and one that leaves gets none', async (t) => {
  const app = createApp(t)
  const [first, second] = [await startNamed(t, 'first'), await startNamed(t, 'second')]
  await app.register(gateway, toOne(first))
  await app.ready()
  const balancer = app.balancers.get('api')

  balancer.add(second)
  const both = await bodiesOf(app, ['/', '/'])
  balancer.remove(first)
  const rest = await bodiesOf(app, ['/', '/'])

  assert.deepEqual(both.toSorted(), ['first /', 'second /'])
  assert.deepEqual(rest, ['second /', 'second /'])
})

test('what the plugin decorates is typed', async (t) => {
  const app = createApp(t)
  await app.register(gateway, toOne('http://127.0.0.1:9'))

  // @ts-expect-error
  assert.throws(() => app.balancers.get(7))
  // @ts-expect-error
  assert.throws(() => app.middleware.use('layer'))
  // @ts-expect-error
  app.addHook('onRequest', async (request) => request.exchange.route)
})
