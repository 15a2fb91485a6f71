import assert from 'node:assert/strict'
import { test } from 'node:test'
import balancer from '../plugins/balancer/index.ts'
import { parseOptions } from '../plugins/config/index.ts'
import middleware from '../plugins/middleware/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { createApp, startNamed } from './plugin-helper.ts'

test('the balancer alone claims no routes and no hooks', async (t) => {
  const app = createApp(t)
  await app.register(balancer, { upstreams: { api: { targets: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] } } })
  const api = app.balancers.get('api')

  const urls = [api.get()?.url, api.get()?.url, api.get()?.url]
  const { statusCode } = await app.inject('/')

  assert.deepEqual(urls, ['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:1'])
  assert.equal(statusCode, 404)
  assert.equal(app.hasDecorator('middleware'), false)
})

test('the middleware alone runs for the routes of the application', async (t) => {
  const app = createApp(t)
  await app.register(middleware)
  app.middleware.use(async ({ reply, route }, next) => {
    await next()
    reply.header('x-route', route ?? 'none')
  })
  app.get('/items/:id', async () => 'item')

  const { headers, body } = await app.inject('/items/7')

  assert.equal(headers['x-route'], '/items/:id')
  assert.equal(body, 'item')
})

test('the proxy alone brings its own balancers and middleware', async (t) => {
  const app = createApp(t)
  await app.register(proxy, {
    upstreams: { api: { targets: [await startNamed(t, 'api')] } },
    routes: [{ match: { path: '/*' }, upstream: 'api' }]
  })
  app.middleware.use({ name: 'mark', onSend: ({ reply }) => void reply.header('x-mark', 'yes') })

  const { headers, body } = await app.inject('/x')

  assert.equal(body, 'api /x')
  assert.equal(headers['x-mark'], 'yes')
  assert.deepEqual(app.balancers.names, ['api'])
})

test('the proxy takes a configuration that was parsed already', async (t) => {
  const app = createApp(t)
  const config = parseOptions({
    upstreams: { api: { targets: [await startNamed(t, 'api')] } },
    routes: [{ match: { path: '/*' }, upstream: 'api' }]
  })
  await app.register(proxy, { config })

  const { body } = await app.inject('/x')

  assert.equal(body, 'api /x')
})

test('the proxy after the balancer shares its upstreams', async (t) => {
  const app = createApp(t)
  await app.register(balancer, { upstreams: { shared: { targets: [await startNamed(t, 'shared')] } } })
  await app.register(proxy, {
    upstreams: { own: { targets: [await startNamed(t, 'own')] } },
    routes: [
      { match: { path: '/shared/*' }, upstream: 'shared' },
      { match: { path: '/own/*' }, upstream: 'own' }
    ]
  })
  const shared = app.balancers.get('shared')

  const bodies = [(await app.inject('/shared/1')).body, (await app.inject('/own/1')).body]

  assert.deepEqual(bodies, ['shared /shared/1', 'own /own/1'])
  assert.deepEqual(app.balancers.names, ['shared', 'own'])
  assert.equal(shared.targets[0]?.inFlight, 0)
})

test('the middleware before the proxy runs each layer once for a proxied request', async (t) => {
  const app = createApp(t)
  let runs = 0
  await app.register(middleware, { layers: [{ name: 'count', onRequest: () => void runs++ }] })
  await app.register(proxy, {
    upstreams: { api: { targets: [await startNamed(t, 'api')] } },
    routes: [{ match: { path: '/*' }, upstream: 'api' }]
  })

  const { body } = await app.inject('/x')

  assert.equal(body, 'api /x')
  assert.equal(runs, 1)
})
