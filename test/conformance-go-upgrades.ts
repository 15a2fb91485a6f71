import assert from 'node:assert/strict'
import { conforms, conformsEach } from './conformance-helper.ts'
import { eventually, RawClient, startGateway, valuesOf } from './forwarding-helper.ts'
import { startRecordingTarget } from './recording-target.ts'
import { asking, RawTarget, SWITCH, switchTo } from './upgrade-helper.ts'

conforms(
  'TestReverseProxyWebSocket',
  'a 101 arrives with the headers of target, hooks and route, and bytes pass in both directions',
  async (t) => {
    const target = await RawTarget.start(t, SWITCH.replace('foo', 'WebSocket'))
    const gateway = await startGateway(t, [target.url], {
      route: { response: { headers: { set: { 'x-modified': 'true' } } } },
      prepare: (app) => {
        app.addHook('onRequest', async (_request, reply) => {
          reply.header('x-header', 'x-value')
        })
      }
    })
    const client = new RawClient(t, gateway.port)

    client.write(asking('websocket'))
    const head = await client.until('\r\n\r\n')
    client.write('Hello\n')
    await target.until('Hello\n')
    target.latest?.write('target got "Hello"\n')

    await client.until('target got "Hello"\n')
    assert.match(head, /^HTTP\/1\.1 101 /)
    assert.match(target.text, /^upgrade: websocket\r$/im)
    const found = ['x-header', 'x-modified', 'upgrade', 'connection'].map((name) => valuesOf(head, name).join())
    assert.deepEqual(
      found.map((value) => value.toLowerCase()),
      ['x-value', 'true', 'websocket', 'upgrade']
    )
  }
)

conforms('TestReverseProxyWebSocketCancellation', 'a tunnel whose client is gone ends at the target', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = await switchTo(t, gateway.port)
  target.latest?.write('answer 0\n')
  await client.until('answer 0\n')

  client.socket.resetAndDestroy()

  await eventually(() => target.sockets.size === 0, 'the target is not told')
  await gateway.idle()
})

conforms(
  'TestReverseProxyUpgradeNoCloseWrite',
  'a client that closes after the 101 is seen to close by the target',
  async (t) => {
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url])
    const client = await switchTo(t, gateway.port)

    client.socket.end()

    await eventually(() => target.ends === 1, 'the target is not told')
  }
)

conforms('TestReverseProxyHijackCopyError', 'a tunnel that fails at once sends nothing behind its 101', async (t) => {
  const target = await startRecordingTarget(t, (socket) => socket.write(SWITCH, () => socket.resetAndDestroy()))
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write(asking('foo'))

  assert.match(await client.end(), /^(HTTP\/1\.1 101 (?:(?!\r\n\r\n)[\s\S])*\r\n\r\n)?$/)
  await gateway.idle()
})

conforms('TestReverseProxyWebSocketHalfTCP', 'server close write: the client may still send', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)
  let ended = false
  client.socket.removeAllListeners('end').on('end', () => {
    ended = true
  })
  client.write(asking())
  await client.until('\r\n\r\n')

  target.latest?.end()
  await eventually(() => ended, 'the client is not told')
  client.write('client sends')

  await target.until('client sends')
})

conforms('TestReverseProxyWebSocketHalfTCP', 'client close write: the target may still send', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = await switchTo(t, gateway.port)

  client.socket.end()
  await eventually(() => target.ends === 1, 'the target is not told')
  target.latest?.write('server sends')

  await client.until('server sends')
})

conformsEach(
  'TestReverseProxyWebSocketHalfTCP',
  'close read: a side that reads no more may still send',
  ['server', 'client'],
  (side) => side,
  async (t, side) => {
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url])
    const client = await switchTo(t, gateway.port)

    if (side === 'server') {
      target.latest?.pause()
      target.latest?.write('server sends')
      await client.until('server sends')
    } else {
      client.socket.pause()
      client.write('client sends')
      await target.until('client sends')
    }
  }
)

conforms('Test1xxResponses', 'informational responses arrive one by one, each with its own headers', async (t) => {
  const links = ['a', 'b', 'c'].map((name) => `Link: </${name}>; rel=preload\r\n`)
  const target = await startRecordingTarget(
    t,
    `HTTP/1.1 103 Early Hints\r\n${links.slice(0, 2).join('')}\r\n` +
      `HTTP/1.1 102 Processing\r\n${links.join('')}\r\n` +
      `HTTP/1.1 200 OK\r\n${links.join('')}content-length: 5\r\n\r\nHello`
  )
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')

  const heads = (await client.until('Hello')).split('\r\n\r\n')
  const seen = heads.slice(0, 3).map((head) => [head.slice(9, 12), valuesOf(head, 'link').length])
  assert.deepEqual(seen, [
    ['103', 2],
    ['102', 3],
    ['200', 3]
  ])
})
