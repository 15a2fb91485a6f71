import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import { buildApp } from '../app.ts'
import type { GatewayOptions } from '../plugins/config/index.ts'
import proxy, { routeOddUrl } from '../plugins/proxy/index.ts'
import { send } from './forwarding-helper.ts'
import { portOf, startTarget } from './helper.ts'

type Match = NonNullable<NonNullable<GatewayOptions['routes']>[number]['match']>

/** Sends a request for the path through a gateway; a target that is reached answers with the path that it got. */
async function ask(t: TestContext, path: string, match: Match = { path: '/caf/*' }, option = true) {
  const target = await startTarget(t, ({ url }, response) => response.end(url))
  const app = Fastify({ forceCloseConnections: true, ...(option ? { frameworkErrors: routeOddUrl } : {}) })
  app.get('/own/:name', async (request) => request.params)
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-hook', 'ran')
  })
  await app.register(proxy, {
    upstreams: { users: { targets: [target.url] } },
    routes: [
      { match, upstream: 'users' },
      { match: { path: '/old/*' }, redirect: { prefix: '/new', host: 'example.org', port: 80 } }
    ]
  })
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { status, headers, body } = await send(portOf(app.server), { path })
  return { status, headers, text: body.toString() }
}

for (const path of ['/caf/%E9', '/caf/%e9/%FF%fe?%E9', '/c%61f/%C3', '/caf/a%2Fb%C3%28', '/caf/%E9%25%C3%A9']) {
  test(`${path}, whose escapes are no UTF-8, arrives as it was sent`, async (t) => {
    const { status, headers, text } = await ask(t, path)

    assert.deepEqual([status, headers['x-hook'], text], [200, 'ran', path])
  })
}

test('a route is matched by escapes that are no UTF-8, in either case', async (t) => {
  for (const path of ['/caf%E9', '/caf%e9']) assert.equal((await ask(t, path, { path: '/caf%E9' })).text, path)
  assert.equal((await ask(t, '/caf%E8', { path: '/caf%E9' })).status, 404)
  assert.equal((await ask(t, '/caf/%E9', { path: { regex: '^/caf/%E9$' } })).text, '/caf/%E9')
})

test('a redirect keeps them', async (t) => {
  const { headers } = await ask(t, '/old/%E9?%E9')

  assert.equal(headers.location, 'http://example.org/new/%E9?%E9')
})

for (const path of ['/caf/%', '/caf/%zz', '/caf/%E', '/caf/%E9/%2e%2E/x', '/caf/%00%E9']) {
  test(`${path} is refused by the gateway, and hooks run`, async (t) => {
    const { status, headers, text } = await ask(t, path)

    assert.deepEqual([status, headers['x-hook'], JSON.parse(text).code], [400, 'ran', 'FST_GATEWAY_BAD_PATH'])
  })
}

test('what is not for the gateway is routed with its escapes as they are', async (t) => {
  assert.equal((await ask(t, '/own/%E9')).text, '{"name":"%E9"}')
  assert.equal((await ask(t, '/own/%C3%A9')).text, '{"name":"é"}')
  assert.equal((await ask(t, '/none/%E9')).status, 404)
})

test('other errors of the framework are answered as without the option', async (t) => {
  const path = `/own/${'x'.repeat(200)}`
  const [withOption, without] = [await ask(t, path), await ask(t, path, undefined, false)]

  assert.deepEqual([withOption.status, without.status], [414, 414])
  assert.deepEqual(JSON.parse(withOption.text).code, JSON.parse(without.text).code)
})

test('the stand-alone gateway has the option', async (t) => {
  const target = await startTarget(t, ({ url }, response) => response.end(url))
  const { app } = await buildApp({ GATEWAY_TARGETS: target.url, GATEWAY_PATH: '/caf/*', GATEWAY_LOG_LEVEL: 'silent' })
  t.after(() => app.close())

  const [found, missing] = [await app.inject('/caf/%E9'), await app.inject('/none/%E9?x')]

  assert.deepEqual([found.statusCode, found.body], [200, '/caf/%E9'])
  assert.deepEqual([missing.statusCode, missing.json().message], [404, 'No route for GET /none/%E9'])
})

for (const path of ['//caf//7', '///caf/%E9', '/caf///']) {
  test(`the stand-alone gateway routes ${path} as with single slashes, and forwards it as it came`, async (t) => {
    const target = await startTarget(t, ({ url }, response) => response.end(url))
    const { app } = await buildApp({ GATEWAY_TARGETS: target.url, GATEWAY_PATH: '/caf/*', GATEWAY_LOG_LEVEL: 'silent' })
    t.after(() => app.close())
    await app.listen({ host: '127.0.0.1', port: 0 })

    const { status, body } = await send(portOf(app.server), { path, agent: false })

    assert.deepEqual([status, body.toString()], [200, path])
  })
}
