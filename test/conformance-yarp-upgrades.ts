import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import Fastify from 'fastify'
import { WebSocketServer } from 'ws'
import proxy from '../plugins/proxy/index.ts'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { eventually, RawClient, startGateway, valuesOf } from './forwarding-helper.ts'
import { fixture, portOf, startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'
import {
  asking,
  echo,
  RawTarget,
  refusal,
  SWITCH,
  startWebSocketTarget,
  switchTo,
  WebSocketClient
} from './upgrade-helper.ts'

const certificate = fixture<{ cert: string; key: string }>('localhost-tls.json')
const NONE = { connect: 0, response: 0, idle: 0, total: 0 }

conformsEach(
  'HttpForwarderTests.UpgradableRequest_Works',
  'a protocol that both sides agree on gets a tunnel, whatever it is',
  ['WebSocket', 'SPDY/3.1'],
  (protocol) => protocol,
  async (t, protocol) => {
    const answer = SWITCH.replace('foo', `${protocol}\r\nx-response: 1`)
    const target = await RawTarget.start(t, answer)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${asking(protocol, '/api/test?a=b&c=d', 'x-request: 1\r\n')}request content`)
    await client.until('\r\n\r\n')
    await target.until('request content')
    target.latest?.write('response content')

    const [head = ''] = (await client.until('response content')).split('\r\n\r\n')
    assert.deepEqual(
      [head.slice(9, 12), valuesOf(head, 'x-response'), valuesOf(head, 'upgrade')],
      ['101', ['1'], [protocol]]
    )
    assert.match(target.text, /^GET \/api\/test\?a=b&c=d HTTP\/1\.1\r\n/)
    assert.match(target.text, /^x-request: 1\r$/m)
  }
)

conforms(
  'HttpForwarderTests.UpgradableRequestFailsToUpgrade_ProxiesResponse',
  'a target that does not switch answers as it likes',
  async (t) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 234 Odd\r\nx-response: 1\r\ncontent-length: 4\r\n\r\nbody')
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(asking('websocket'))

    const head = await client.until('\r\n\r\nbody')
    assert.match(head, /^HTTP\/1\.1 234 Odd\r\n/)
    assert.deepEqual(valuesOf(head, 'x-response'), ['1'])
  }
)

conforms('HttpForwarderTests.UpgradableRequest_CancelsIfIdle', 'a tunnel in which nothing moves is cut', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url], { upstream: { timeouts: { ...NONE, idle: 100 } } })

  const client = await switchTo(t, gateway.port)

  await client.end()
  await eventually(() => target.sockets.size === 0 || target.ends === 1, 'the target is not told')
  await gateway.idle()
})

conforms(
  'HttpForwarderTests.UpgradableRequest_RequestBodyCopyError_CancelsResponseBody',
  'a client that is lost ends the tunnel for the target',
  async (t) => {
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url])
    const client = await switchTo(t, gateway.port)

    client.socket.resetAndDestroy()

    await eventually(() => target.sockets.size === 0, 'the target is not told')
  }
)

conforms(
  'HttpForwarderTests.UpgradableRequest_ResponseBodyCopyError_CancelsRequestBody',
  'a target that is lost ends the tunnel for the client',
  async (t) => {
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url])
    const client = await switchTo(t, gateway.port)

    target.latest?.resetAndDestroy()

    await client.end()
    assert.equal(client.closed, 'reset')
  }
)

conforms(
  'HttpForwarderTests.ResponseToNonUpgradeableRequest_RemoveAllConnectionHeaders (upgrade)',
  'a 101 keeps Connection: upgrade and Upgrade, and nothing else that is for the connection',
  async (t) => {
    const fields = 'Connection: upgrade, keep-alive\r\nUpgrade: websocket\r\nKeep-Alive: timeout=100\r\nFoo: bar\r\n'
    const target = await RawTarget.start(t, `HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(asking('websocket'))

    const head = await client.until('\r\n\r\n')
    const found = ['connection', 'upgrade', 'keep-alive', 'foo'].map((name) => valuesOf(head, name).join())
    assert.deepEqual(found, ['upgrade', 'websocket', '', 'bar'])
  }
)

differs(
  'HttpForwarderTests.ResponseToNonUpgradeableRequest_RemoveAllConnectionHeaders (101 without Upgrade)',
  'a 101 that names no protocol is a 502',
  'RFC 9110, section 15.2.2: it must; nobody could know what follows',
  async (t) => {
    for (const fields of ['Foo: bar\r\nConnection: upgrade\r\n', 'Foo: bar\r\n']) {
      const target = await RawTarget.start(t, `HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`)
      const gateway = await startGateway(t, [target.url])
      const client = new RawClient(t, gateway.port)

      client.write(asking('websocket'))

      assert.match(await client.until('FST_GATEWAY_BAD_RESPONSE'), /^HTTP\/1\.1 502 /)
    }
  }
)

conformsEach(
  'HttpForwarderTests.NonUpgradableRequest_RemoveAllConnectionHeaders',
  'an Upgrade goes out where it asks for a protocol, everything else about the connection stays here',
  [
    { fields: 'Connection: keep-alive\r\nKeep-Alive: timeout=100\r\n', connection: '', upgrade: '' },
    { fields: 'Connection: upgrade\r\nUpgrade: websocket\r\n', connection: 'upgrade', upgrade: 'websocket' },
    { fields: 'Connection: upgrade\r\nUpgrade: SPDY/\r\n', connection: '', upgrade: '' },
    {
      fields: 'Connection: upgrade, keep-alive\r\nUpgrade: websocket\r\nKeep-Alive: timeout=100\r\n',
      connection: 'upgrade',
      upgrade: 'websocket'
    },
    { fields: 'Upgrade: websocket\r\n', connection: '', upgrade: '' }
  ],
  ({ fields }) => JSON.stringify(fields),
  async (t, { fields, connection, upgrade }) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`GET / HTTP/1.1\r\nHost: a\r\n${fields}Foo: bar\r\n\r\n`)
    await client.until('\r\n\r\nok')

    const head = target.requests[0]?.head ?? ''
    const found = ['connection', 'upgrade', 'keep-alive', 'foo'].map((name) => valuesOf(head, name).join())
    assert.deepEqual(found, [connection, upgrade, '', 'bar'])
  }
)

conformsEach(
  'WebSocketTests.WebSocketMessageTypes, WebSocket11_To_11',
  'messages pass in both directions, and so does the close',
  [true, false],
  (binary) => (binary ? 'binary' : 'text'),
  async (t, binary) => {
    const target = await startWebSocketTarget(t, echo)
    const gateway = await startGateway(t, [target.url])
    const client = await new WebSocketClient(t, gateway.port, '/websockets').open()

    client.socket.send(Buffer.from('Hello World!'), { binary })
    assert.equal(await client.next(), 'Hello World!')
    assert.equal(client.messages[0]?.binary, binary)
    client.socket.close(1000, 'Bye')

    assert.equal((await client.end()).code, 1000)
  }
)

conforms('WebSocketTests.WebSocket11_To_11 (https)', 'the same holds with TLS on both sides', async (t) => {
  const server = createServer(certificate)
  new WebSocketServer({ server }).on('connection', echo)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const app = Fastify({ https: certificate, forceCloseConnections: true })
  await app.register(proxy, {
    upstreams: { users: { targets: [`https://127.0.0.1:${portOf(server)}`], tls: { verify: false } } },
    routes: [{ match: { path: '/*' }, upstream: 'users' }]
  })
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = await new WebSocketClient(t, portOf(app.server), '/', [], { rejectUnauthorized: false }).open()

  client.socket.send('Hello World!')

  assert.equal(await client.next(), 'Hello World!')
  client.socket.close(1000)
  await client.end()
})

conforms('WebSocketTests.RawUpgradeTest', 'every byte passes a tunnel as it is', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = await switchTo(t, gateway.port)
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))

  client.write(all)
  await target.until(all.toString('latin1'))
  target.latest?.write(all)

  await client.until(all.toString('latin1'))
})

conforms('WebSocketTests.FalseUpgradeTest', 'a POST is not upgraded, and its body comes back', async (t) => {
  const target = await startTarget(t, (request, response) => request.pipe(response))
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write(
    'POST /post HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: foo\r\nContent-Length: 11\r\n\r\nHello World'
  )

  assert.match(await client.end(), /^HTTP\/1\.1 200 OK[\s\S]*Hello World/)
})

conforms('WebSocketTests.InvalidKeyHeader_400', 'a handshake that the target finds wrong gets its 400', async (t) => {
  const target = await startWebSocketTarget(t, echo)
  const gateway = await startGateway(t, [target.url], {
    layers: [
      {
        name: 'wrong-key',
        onRequest: (exchange) => {
          exchange.requestHeaders = [['sec-websocket-key', 'this is no key of 16 bytes']]
        }
      }
    ]
  })

  const answer = await refusal(new WebSocketClient(t, gateway.port).socket)

  assert.equal(answer.status, 400)
})
