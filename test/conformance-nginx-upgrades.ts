import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { eventually, RawClient, startGateway, valuesOf } from './forwarding-helper.ts'
import { startRecordingTarget } from './recording-target.ts'
import { asking, echo, RawTarget, SWITCH, startWebSocketTarget, switchTo, WebSocketClient } from './upgrade-helper.ts'

const BIG = 'foo'.repeat(16_384)

conforms(
  "proxy_upgrade.t 'handshake', 'upgrade response', 'upgrade big response'",
  'a short and a long line pass a tunnel in both directions',
  async (t) => {
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url])
    const client = await switchTo(t, gateway.port)

    for (const line of ['foo\r\n', `${BIG}\r\n`]) {
      client.write(line)
      await target.until(line)
      target.latest?.write(line.replaceAll('foo', 'bar'))
      await client.until(line.replaceAll('foo', 'bar'))
    }
  }
)

conforms(
  "proxy_upgrade.t 'upgrade 1' to 'upgrade 10', 'upgrade small 1' to 'upgrade small 10'",
  'long and short lines in a row keep their order',
  async (t) => {
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url])
    const client = await switchTo(t, gateway.port)
    const lines = Array.from({ length: 10 }, (_, i) => `${BIG}${i}\r\nbazz${i}\r\n`).join('')
    const before = client.text.length

    client.write(lines)
    await eventually(() => target.text.endsWith(lines), 'the target has not received all lines')
    target.latest?.write(lines)

    await eventually(() => client.text.slice(before) === lines, 'the client has not received all lines')
  }
)

conforms(
  "proxy_upgrade.t 'handshake pipelined', 'response pipelined', 'next to pipelined'",
  'what the client sends right behind its request reaches the target after the 101, and not before',
  async (t) => {
    const target = await RawTarget.start(t, '')
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${asking()}early`)
    await target.until('\r\n\r\n')
    assert.match(target.text, /\r\n\r\n$/)
    target.latest?.write(`${SWITCH}answer`)
    await target.until('\r\n\r\nearly')
    await client.until('\r\n\r\nanswer')
    client.write('late')

    await target.until('earlylate')
  }
)

conforms(
  "proxy_upgrade.t 'handshake noupgrade'",
  'a target that switches although nobody has asked is a 502',
  async (t) => {
    const target = await startRecordingTarget(t, SWITCH)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\r\n')

    assert.match(await client.until('FST_GATEWAY_BAD_RESPONSE'), /^HTTP\/1\.1 502 /)
  }
)

conforms(
  "proxy_upgrade.t 'log - bytes', 'log - bytes pipelined', 'log - bytes noupgrade'",
  'the exchange counts the bytes of a tunnel',
  async (t) => {
    const counts: unknown[] = []
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url], {
      layers: [{ name: 'count', onResponse: ({ bytes, receivedBytes }) => counts.push([bytes, receivedBytes]) }]
    })
    const client = await switchTo(t, gateway.port)

    client.write('12345')
    await target.until('12345')
    target.latest?.write('1234567')
    await client.until('1234567')
    client.socket.end()
    target.latest?.end()

    await eventually(() => counts.length === 1, 'the exchange does not end')
    assert.deepEqual(counts, [[7, 5]])
  }
)

conforms(
  "proxy_websocket.t 'websocket handshake', 'websocket response', 'websocket big response', 'websocket 1' to 'websocket 10', 'websocket small 1' to 'websocket small 10'",
  'messages pass, long and short, in order',
  async (t) => {
    const target = await startWebSocketTarget(t, echo)
    const gateway = await startGateway(t, [target.url])
    const client = await new WebSocketClient(t, gateway.port).open()
    const messages = ['foo', BIG, ...Array.from({ length: 10 }, (_, i) => [`${BIG}${i}`, `bazz${i}`]).flat()]

    for (const message of messages) client.socket.send(message)

    await eventually(() => client.messages.length === messages.length, 'a message is missing')
    assert.deepEqual(
      client.messages.map(({ data }) => data.toString()),
      messages
    )
  }
)

conforms(
  "proxy_websocket.t 'handshake pipelined', 'response pipelined', 'next to pipelined'",
  'a message that is sent right behind the handshake is answered',
  async (t) => {
    const target = await startWebSocketTarget(t, echo)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)
    const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
    // A masked text frame with a mask of zeros.
    const frame = (text: string) => `\x81${String.fromCharCode(0x80 | text.length)}\0\0\0\0${text}`

    client.write(`${asking('websocket', '/', key)}${frame('foo')}`)
    await client.until('\x81\x03foo')
    client.write(frame('next'))

    await client.until('\x81\x04next')
  }
)

conforms(
  "proxy_connection_headers.t 'upgrade in 426', 'upgrade in 101'",
  'Upgrade of a 101 and of a 426 reaches the client',
  async (t) => {
    for (const [status, reason] of [
      [101, 'Switching Protocols'],
      [426, 'Upgrade Required']
    ]) {
      const answer = `HTTP/1.1 ${status} ${reason}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
      const target = await startRecordingTarget(t, `${answer}${status === 426 ? 'content-length: 0\r\n' : ''}\r\n`)
      const gateway = await startGateway(t, [target.url])
      const client = new RawClient(t, gateway.port)

      client.write(asking('websocket'))

      const head = await client.until('\r\n\r\n')
      assert.equal(head.slice(9, 12), String(status))
      assert.deepEqual(
        [valuesOf(head, 'upgrade'), valuesOf(head, 'connection')[0]?.slice(0, 7)],
        [['websocket'], 'upgrade']
      )
    }
  }
)

conforms(
  "proxy_connection_headers.t 'upgrade in 426'",
  'the same holds for a client that has not asked, whose connection stays open',
  async (t) => {
    const answer =
      'HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: a/1, b/2\r\ncontent-length: 0\r\n\r\n'
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const head = await client.until('\r\n\r\n')
    client.write('GET /next HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    const rest = (await client.end()).slice(head.length)

    assert.deepEqual([valuesOf(head, 'upgrade'), valuesOf(head, 'connection')], [['a/1, b/2'], ['upgrade']])
    assert.deepEqual([valuesOf(rest, 'upgrade'), valuesOf(rest, 'connection')], [['a/1, b/2'], ['upgrade, close']])
  }
)

differs(
  "proxy_connection_headers.t 'upgrade in 200'",
  'Upgrade of a 200 does not reach the client',
  'it is an offer for the connection between gateway and target; a client that wants it has to ask',
  async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\ncontent-length: 0\r\n\r\n'
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')

    assert.deepEqual(valuesOf(await client.until('\r\n\r\n'), 'upgrade'), [])
  }
)

const CONNECTS = [
  ...['127.0.0.1:80', 'example.net:80', 'example.net:80/', 'example.net:80?', 'example.net:80#', 'example.net:'],
  ...['user:pass@example.net:80', 'http://example.net:80', 'example.net', ':80', ':', 'example.net:65536']
]

conformsEach(
  "http_method.t 'connect'; tunnel.t 'CONNECT HTTP/1.0 not allowed'",
  'CONNECT is a 405',
  ['1.1', '1.0'],
  (version) => version,
  async (t, version) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`CONNECT 127.0.0.1:80 HTTP/${version}\r\nHost: 127.0.0.1:80\r\n\r\n`)

    assert.match(await client.end(), /^HTTP\/1\.1 405 /)
    assert.equal(target.connections(), 0)
  }
)

differs(
  "tunnel.t; http_method.t 'connect uri', 'connect no port'",
  'CONNECT is refused, whatever it asks for',
  'a gateway leads to its targets and nowhere else; it is no forward proxy',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    for (const authority of CONNECTS) {
      const client = new RawClient(t, gateway.port)

      client.write(`CONNECT ${authority} HTTP/1.1\r\nHost: localhost\r\n\r\n`)

      assert.match(await client.end(), /^HTTP\/1\.1 40[05] /, authority)
    }
    assert.equal(target.connections(), 0)
  }
)
