import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { WebSocketServer } from 'ws'
import gateway from '../app.ts'
import { RawClient } from './forwarding-helper.ts'
import { fixture, portOf, startTarget } from './helper.ts'
import { asking, echo, refusal, startWebSocketTarget, WebSocketClient } from './upgrade-helper.ts'

function createApp(t: TestContext): FastifyInstance {
  const app = Fastify()
  t.after(() => app.close())
  return app
}

async function listen(app: FastifyInstance, host = '127.0.0.1'): Promise<number> {
  await app.listen({ host, port: 0 })
  return portOf(app.server)
}

/** A gateway on the given paths of an app, whose target greets with its name and sends back what it gets. */
async function addGateway(t: TestContext, app: FastifyInstance, path: string, name = 'target'): Promise<void> {
  const { url } = await startWebSocketTarget(t, (socket, request) => {
    socket.send(`${name} ${request.url}`)
    echo(socket)
  })
  await app.register(gateway, {
    upstreams: { [name]: { targets: [url] } },
    routes: [{ match: { path }, upstream: name }]
  })
}

/** What the first message on a path is. */
async function greeting(t: TestContext, port: number, path: string): Promise<string> {
  const client = new WebSocketClient(t, port, path)
  const [data] = await once(client.socket, 'message')
  client.socket.close()
  return String(data)
}

test('routes of the app win: a request with an Upgrade gets their answer, and the connection closes', async (t) => {
  const app = createApp(t)
  await addGateway(t, app, '/*')
  app.get('/own', async (request) => `own ${request.headers.upgrade}`)
  const port = await listen(app)
  const client = new RawClient(t, port)

  client.write(asking('foo', '/own'))
  const text = await client.end()

  assert.match(text, /^HTTP\/1\.1 200 OK[\s\S]*connection: close[\s\S]*own foo$/i)
  assert.equal(await greeting(t, port, '/other'), 'target /other')
})

test('two gateways in two scopes have their upgrades each', async (t) => {
  const app = createApp(t)
  for (const name of ['one', 'two']) {
    await app.register(async (scope) => addGateway(t, scope, '/chat', name), { prefix: `/${name}` })
  }
  const port = await listen(app)

  assert.equal(app.server.listenerCount('upgrade'), 1)
  assert.equal(await greeting(t, port, '/one/chat'), 'one /one/chat')
  assert.equal(await greeting(t, port, '/two/chat'), 'two /two/chat')
  assert.equal((await refusal(new WebSocketClient(t, port, '/chat').socket)).status, 404)
})

test('an app that listens on several addresses takes upgrades on each', async (t) => {
  const app = createApp(t)
  await addGateway(t, app, '/*')
  await listen(app, 'localhost')

  for (const address of app.addresses()) {
    if (typeof address === 'string') continue
    const family = address.family === 'IPv6' ? 6 : 4
    const client = new WebSocketClient(t, portOf(app.server), '/', [], { host: address.address, family })
    const [data] = await once(client.socket, 'message')
    client.socket.close()

    assert.equal(String(data), 'target /')
  }
})

test('a listener of the app has the upgrades it takes, the gateway those of its routes', async (t) => {
  const app = createApp(t)
  const own = new WebSocketServer({ noServer: true })
  own.on('connection', (socket) => socket.send('own'))
  app.server.on('upgrade', (request, socket, head) => {
    if (request.url === '/both') own.handleUpgrade(request, socket, head, (ws) => own.emit('connection', ws, request))
    if (request.url === '/refused') socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
    if (request.url === '/later') {
      setImmediate(() => setImmediate(() => socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')))
    }
  })
  await addGateway(t, app, '/gateway/*')
  await addGateway(t, app, '/both', 'second')
  const port = await listen(app)

  assert.equal(await greeting(t, port, '/both'), 'own')
  assert.equal(await greeting(t, port, '/gateway/1'), 'target /gateway/1')
  assert.equal((await refusal(new WebSocketClient(t, port, '/refused').socket)).status, 403)
  assert.equal((await refusal(new WebSocketClient(t, port, '/later').socket)).status, 401)
  for (const socket of own.clients) socket.terminate()
})

test('beside a listener of the app, an Upgrade that is ignored costs no route of the gateway its answer', async (t) => {
  const app = createApp(t)
  app.server.on('upgrade', () => {})
  const { url } = await startTarget(t, (request, response) => {
    request.on('data', (chunk: Buffer) => response.end(`target got ${chunk}`))
  })
  await app.register(gateway, { upstreams: { u: { targets: [url] } }, routes: [{ upstream: 'u' }] })
  const client = new RawClient(t, await listen(app))

  client.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello')

  await client.until('target got hello')
  client.socket.destroy()
})

/**
 * What @fastify/websocket 11 does, as far as it matters to others: it routes all upgrades itself, stands before the
 * handlers of all later routes, and destroys the connection once a response is finished.
 */
const fastifyWebSocket = fp(async (fastify: FastifyInstance) => {
  const server = new WebSocketServer({ noServer: true })
  const sockets = new WeakMap<IncomingMessage, Socket>()
  const heads = new WeakMap<IncomingMessage, Buffer>()
  fastify.decorate('websocketServer', server)
  fastify.server.on('upgrade', (request, socket, head) => {
    if (!(socket instanceof Socket)) return
    sockets.set(request, socket)
    heads.set(request, head)
    const response = new ServerResponse(request)
    response.assignSocket(socket)
    fastify.routing(request, response)
  })
  fastify.addHook('onResponse', async (request) => sockets.get(request.raw)?.destroy())
  fastify.addHook('onRoute', (route) => {
    const { handler } = route
    route.handler = function (request: FastifyRequest, reply: FastifyReply) {
      const socket = sockets.get(request.raw)
      if (socket === undefined) return handler.call(this, request, reply)
      reply.hijack()
      server.handleUpgrade(request.raw, socket, heads.get(request.raw) ?? Buffer.alloc(0), (ws) =>
        ws.close(1000, 'own')
      )
    }
  })
  fastify.addHook('preClose', (done) => {
    for (const client of server.clients) client.close()
    done()
  })
})

for (const order of ['before', 'after']) {
  test(`the gateway stands beside a plugin that routes upgrades itself, registered ${order} it`, async (t) => {
    const app = createApp(t)
    if (order === 'before') await app.register(fastifyWebSocket)
    await addGateway(t, app, '/*')
    if (order === 'after') await app.register(fastifyWebSocket)
    await app.register(async (scope) => scope.get('/own', async () => 'never'))
    const port = await listen(app)
    const client = new RawClient(t, port)

    const own = new WebSocketClient(t, port, '/own')
    await own.open()
    client.write(asking('h2c', '/plain'))
    const refused = await client.end()

    assert.deepEqual(await own.end(), { code: 1000, reason: 'own' })
    assert.equal(await greeting(t, port, '/chat'), 'target /chat')
    assert.match(refused, /^HTTP\/1\.1 426 /)
  })
}

test('what the client sends early is kept beside such a plugin, too', async (t) => {
  const app = createApp(t)
  await app.register(fastifyWebSocket)
  const target = await startTarget(t, () => {})
  target.server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n')
    socket.pipe(socket)
  })
  await app.register(gateway, { upstreams: { u: { targets: [target.url] } }, routes: [{ upstream: 'u' }] })
  const client = new RawClient(t, await listen(app))

  client.write(`${asking()}early`)

  assert.match(await client.until('early'), /\r\n\r\nearly$/)
  client.socket.end()
})

test('over TLS, too, an Upgrade that is ignored leaves connection and body as they are', async (t) => {
  const app = Fastify({ https: fixture<{ key: string; cert: string }>('localhost-tls.json') })
  t.after(() => app.close())
  const { url } = await startTarget(t, (request, response) => {
    request.on('data', (chunk: Buffer) => response.end(`target got ${chunk}`))
  })
  await app.register(gateway, { upstreams: { u: { targets: [url] } }, routes: [{ upstream: 'u' }] })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = connect({ host: '127.0.0.1', port: portOf(app.server), rejectUnauthorized: false })
  t.after(() => client.destroy())

  client.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello')
  let text = ''
  for await (const chunk of client) {
    text += chunk
    if (text.includes('target got hello')) break
  }

  assert.match(text, /^HTTP\/1\.1 200 /)
})

test('a gateway whose routes allow no upgrade does not listen for them', async (t) => {
  const app = createApp(t)
  const { url } = await startTarget(t, (_request, response) => response.end('ordinary'))
  await app.register(gateway, { upstreams: { u: { targets: [url] } }, routes: [{ upstream: 'u', upgrade: false }] })
  const client = new RawClient(t, await listen(app))

  client.write(asking())

  await client.until('ordinary')
  assert.equal(app.server.listenerCount('upgrade'), 0)
  client.socket.destroy()
})

test('a closed app listens no more', async (t) => {
  const app = createApp(t)
  await addGateway(t, app, '/*')
  await listen(app)

  await app.close()

  assert.equal(app.server.listenerCount('upgrade'), 0)
})

test('an injected request is an ordinary one, whatever its headers say', async (t) => {
  const app = createApp(t)
  const { url } = await startTarget(t, (request, response) => response.end(`got ${request.headers.upgrade}`))
  await app.register(gateway, { upstreams: { u: { targets: [url] } }, routes: [{ upstream: 'u' }] })

  const { body } = await app.inject({ url: '/', headers: { connection: 'upgrade', upgrade: 'foo' } })

  assert.equal(body, 'got undefined')
})
