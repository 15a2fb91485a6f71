import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { test } from 'node:test'
import Fastify from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'
import proxy from '../plugins/proxy/index.ts'
import { eventually, startGateway } from './forwarding-helper.ts'
import { fixture, freePort, portOf, startTarget } from './helper.ts'
import { echo, refusal, startWebSocketTarget, WebSocketClient } from './upgrade-helper.ts'

const MIB = 1024 * 1024

/** Bytes in which every 64 KiB differ from the others. */
function pattern(size: number): Buffer {
  const data = Buffer.alloc(size)
  for (let at = 0; at < size; at += 65_536) data.writeUInt32BE(at / 65_536 + 1, at)
  return data
}

test('text and binary messages pass both ways as what they are', async (t) => {
  const { url } = await startWebSocketTarget(t, echo)
  const gateway = await startGateway(t, [url])
  const client = await new WebSocketClient(t, gateway.port).open()

  client.socket.send('grüße')
  client.socket.send(Buffer.from([0, 255, 128]))
  await eventually(() => client.messages.length === 2, 'the echo is missing')

  assert.deepEqual(client.messages, [
    { data: Buffer.from('grüße'), binary: false },
    { data: Buffer.from([0, 255, 128]), binary: true }
  ])
})

test('fragments stay one message, with pings and pongs between them', async (t) => {
  const pings: string[] = []
  const { url } = await startWebSocketTarget(t, (socket) => {
    echo(socket)
    socket.on('ping', (data) => pings.push(data.toString()))
  })
  const gateway = await startGateway(t, [url])
  const { socket, messages } = await new WebSocketClient(t, gateway.port).open()
  const pongs: string[] = []
  socket.on('pong', (data) => pongs.push(data.toString()))

  socket.send('one,', { fin: false })
  socket.ping('between')
  socket.send('two,', { fin: false })
  socket.ping()
  socket.send('three', { fin: true })
  await eventually(() => messages.length === 1, 'the echo is missing')

  assert.equal(messages[0]?.data.toString(), 'one,two,three')
  assert.deepEqual(
    [pings, pongs],
    [
      ['between', ''],
      ['between', '']
    ]
  )
})

test('a message of 16 MiB passes both ways, in one frame or in 256', async (t) => {
  const { url } = await startWebSocketTarget(t, echo)
  const gateway = await startGateway(t, [url])
  const { socket, messages } = await new WebSocketClient(t, gateway.port).open()
  const data = pattern(16 * MIB)

  socket.send(data)
  await once(socket, 'message')
  const fragment = data.length / 256
  for (let i = 0; i < 256; i++) socket.send(data.subarray(i * fragment, (i + 1) * fragment), { fin: i === 255 })
  await once(socket, 'message')

  assert.equal(messages.length, 2)
  for (const message of messages) assert.ok(message.data.equals(data))
})

test('permessage-deflate is negotiated by the two ends and passes untouched', async (t) => {
  const { url } = await startWebSocketTarget(t, echo, { perMessageDeflate: { threshold: 0 } })
  const gateway = await startGateway(t, [url])
  const options = { perMessageDeflate: { threshold: 0 } }
  const client = await new WebSocketClient(t, gateway.port, '/', [], options).open()

  client.socket.send('a'.repeat(10_000))
  await client.next()

  assert.match(client.socket.extensions, /permessage-deflate/)
  assert.equal(client.messages[0]?.data.toString(), 'a'.repeat(10_000))
})

test('all subprotocols are offered, and the one that the target chooses is the client’s', async (t) => {
  let offered: string | undefined
  const { url } = await startWebSocketTarget(
    t,
    (_socket, { headers }) => {
      offered = headers['sec-websocket-protocol']
    },
    { handleProtocols: (protocols) => [...protocols][1] ?? false }
  )
  const gateway = await startGateway(t, [url])

  const { socket } = await new WebSocketClient(t, gateway.port, '/', ['chat.v1', 'chat.v2', 'chat.v3']).open()

  assert.equal(offered, 'chat.v1,chat.v2,chat.v3')
  assert.equal(socket.protocol, 'chat.v2')
})

test('the target sees the handshake as the client sent it, and who the client is', async (t) => {
  const seen: Record<string, unknown>[] = []
  const { url } = await startWebSocketTarget(t, (_socket, { headers, method, url }) => {
    seen.push({ ...headers, method, url })
  })
  const gateway = await startGateway(t, [url])
  const headers = { authorization: 'Bearer x', cookie: 'a=1; b=2', 'x-own': 'yes' }

  await new WebSocketClient(t, gateway.port, '/chat?room=%2F1', [], { headers, origin: 'https://app.test' }).open()

  const [request = {}] = seen
  const expected = {
    ...headers,
    method: 'GET',
    url: '/chat?room=%2F1',
    origin: 'https://app.test',
    host: `127.0.0.1:${gateway.port}`,
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http'
  }
  assert.deepEqual({ ...request, ...expected }, request)
})

for (const { who, close } of [
  { who: 'client', close: (client: WebSocket, _target: WebSocket | undefined) => client.close(4001, 'enough') },
  { who: 'target', close: (_client: WebSocket, target: WebSocket | undefined) => target?.close(4001, 'enough') }
]) {
  test(`a close by the ${who} reaches the other end with code and reason`, async (t) => {
    let target: WebSocket | undefined
    let seen: { code: number; reason: string } | undefined
    const { url } = await startWebSocketTarget(t, (socket) => {
      target = socket
      socket.on('close', (code, reason) => {
        seen = { code, reason: reason.toString() }
      })
    })
    const gateway = await startGateway(t, [url])
    const client = await new WebSocketClient(t, gateway.port).open()

    close(client.socket, target)
    const closed = await client.end()
    await eventually(() => seen !== undefined, 'the target has not seen the close')

    assert.deepEqual(
      [closed, seen],
      [
        { code: 4001, reason: 'enough' },
        { code: 4001, reason: 'enough' }
      ]
    )
    await gateway.idle()
  })
}

for (const status of [200, 401, 403, 404, 426, 500]) {
  test(`a target that answers ${status} refuses with its own status, headers and body`, async (t) => {
    const { url } = await startTarget(t, (_request, response) => response.writeHead(status).end('never'))
    const target = await startTarget(t, () => {})
    target.server.on('upgrade', (_request, socket) => {
      const head = `HTTP/1.1 ${status} As I Say\r\nX-Why: because\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2`
      socket.end(`${head}\r\nContent-Length: 7\r\n\r\nrefused`)
    })
    const gateway = await startGateway(t, [{ url: target.url }, { url, backup: true }])
    const { socket } = new WebSocketClient(t, gateway.port)

    const answer = await refusal(socket)

    assert.deepEqual([answer.status, answer.body], [status, 'refused'])
    assert.equal(answer.headers['x-why'], 'because')
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
    await gateway.idle()
  })
}

test('a target that is not there is a 502', async (t) => {
  const gateway = await startGateway(t, [`http://127.0.0.1:${await freePort()}`])

  const { status, body } = await refusal(new WebSocketClient(t, gateway.port).socket)

  assert.equal(status, 502)
  assert.equal(JSON.parse(body).code, 'FST_GATEWAY_CONNECT_FAILED')
})

for (const { what, first } of [
  { what: 'is not there', first: async () => `http://127.0.0.1:${await freePort()}` },
  {
    what: 'answers 503',
    first: async (t: Parameters<typeof startTarget>[0]) => {
      const target = await startTarget(t, () => {})
      target.server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'))
      return target.url
    }
  }
]) {
  test(`a handshake is tried again at another target when the first ${what}`, async (t) => {
    const { url } = await startWebSocketTarget(t, echo)
    const gateway = await startGateway(t, [await first(t), url])
    const client = await new WebSocketClient(t, gateway.port).open()

    client.socket.send('hello')

    assert.equal(await client.next(), 'hello')
    const [failed, serving] = gateway.app.balancers.get('users').targets
    assert.deepEqual([failed?.inFlight, failed?.fails, serving?.inFlight, serving?.fails], [0, 1, 1, 0])
  })
}

test('1,000 WebSockets at once, each with its own echo', async (t) => {
  const { url } = await startWebSocketTarget(t, echo)
  const gateway = await startGateway(t, [url])
  const clients = Array.from({ length: 1_000 }, () => new WebSocketClient(t, gateway.port))

  await Promise.all(clients.map((client) => client.open()))
  const [target] = gateway.app.balancers.get('users').targets
  const inFlight = target?.inFlight
  for (const [i, { socket }] of clients.entries()) socket.send(`number ${i}`)
  await Promise.all(clients.map(async ({ socket, messages }) => messages.length > 0 || once(socket, 'message')))
  for (const { socket } of clients) socket.close()
  await Promise.all(clients.map(async ({ socket, closed }) => closed !== undefined || once(socket, 'close')))

  assert.equal(inFlight, 1_000)
  for (const [i, { messages }] of clients.entries()) assert.equal(messages[0]?.data.toString(), `number ${i}`)
  await gateway.idle()
})

test('prefix, host and header rules of the route hold for the handshake', async (t) => {
  const seen: (string | undefined)[] = []
  const { url, server } = await startWebSocketTarget(t, (_socket, { url, headers }) => {
    seen.push(url, headers.host, headers['x-added']?.toString(), headers['x-secret']?.toString())
  })
  server.on('headers', (headers) => headers.push('X-Internal: yes'))
  const gateway = await startGateway(t, [url], {
    route: {
      match: { path: '/chat/*' },
      rewrite: { prefix: '/v1', host: 'target' },
      request: { headers: { set: { 'x-added': 'here' }, remove: ['x-secret'] } },
      response: { headers: { set: { 'x-gateway': 'yes' }, remove: ['x-internal'] } }
    }
  })
  const { socket } = new WebSocketClient(t, gateway.port, '/chat/room?x=1', [], { headers: { 'x-secret': 'no' } })

  const [{ headers }] = await once(socket, 'upgrade')

  assert.deepEqual(seen, ['/v1/room?x=1', url.slice('http://'.length), 'here', undefined])
  assert.deepEqual([headers['x-gateway'], headers['x-internal']], ['yes', undefined])
  assert.deepEqual([headers.connection, headers.upgrade], ['upgrade', 'websocket'])
})

test('a WebSocket passes through TLS on both sides', async (t) => {
  const tls = fixture<{ key: string; cert: string }>('localhost-tls.json')
  const secure = createServer(tls)
  new WebSocketServer({ server: secure }).on('connection', echo)
  secure.listen(0, '127.0.0.1')
  await once(secure, 'listening')
  t.after(() => secure.close())
  const address = secure.address()
  const port = typeof address === 'object' ? address?.port : 0
  const app = Fastify({ https: tls })
  await app.register(proxy, {
    upstreams: { users: { targets: [`https://127.0.0.1:${port}`], tls: { verify: false } } },
    routes: [{ upstream: 'users' }]
  })
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = new WebSocketClient(t, portOf(app.server), '/', [], { rejectUnauthorized: false })
  await client.open()

  client.socket.send(pattern(MIB))
  await once(client.socket, 'message')
  client.socket.close(4000)

  assert.ok(client.messages[0]?.data.equals(pattern(MIB)))
  assert.equal((await client.end()).code, 4000)
})
