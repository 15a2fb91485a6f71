import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import type { WebSocket } from 'ws'
import proxy from '../plugins/proxy/index.ts'
import { runGateway } from './app-process-helper.ts'
import { eventually, RawClient } from './forwarding-helper.ts'
import { portOf } from './helper.ts'
import { asking, echo, RawTarget, SWITCH, startWebSocketTarget, switchTo, WebSocketClient } from './upgrade-helper.ts'

const GOING_AWAY = '\x88\x02\x03\xe9'
const WEBSOCKET = SWITCH.replace('foo', 'websocket')

/** A gateway that serves requests on standing connections while it closes, as the stand-alone one does. */
async function start(
  t: TestContext,
  url: string,
  closeTimeout?: number
): Promise<{ app: FastifyInstance; port: number }> {
  const app = Fastify({ return503OnClosing: false })
  const limit = closeTimeout === undefined ? {} : { closeTimeout }
  await app.register(proxy, { upstreams: { users: { targets: [url] } }, routes: [{ upstream: 'users' }], ...limit })
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: portOf(app.server) }
}

/** Begins to close, and returns once the tunnels know. */
async function beginClosing(app: FastifyInstance): Promise<{ closed: PromiseLike<void> }> {
  const closed = app.close()
  await eventually(() => !app.server.listening, 'the gateway does not close')
  return { closed }
}

/** The payload of a masked frame without extended length, `from` being where it begins. */
function unmasked(text: string, from: number): { head: string; payload: string } {
  const data = Buffer.from(text.slice(from), 'latin1')
  const payload = data.subarray(6).map((byte, i) => byte ^ (data[2 + (i % 4)] ?? 0))
  return { head: data.toString('latin1', 0, 2), payload: Buffer.from(payload).toString('latin1') }
}

test('both ends of a WebSocket learn by a close frame that the gateway goes away', async (t) => {
  const codes: number[] = []
  const { url } = await startWebSocketTarget(t, (socket) => socket.on('close', (code) => codes.push(code)))
  const { app, port } = await start(t, url)
  const clients = [await new WebSocketClient(t, port).open(), await new WebSocketClient(t, port).open()]

  const begin = performance.now()
  await app.close()
  const elapsed = performance.now() - begin
  for (const client of clients) assert.equal((await client.end()).code, 1001)

  assert.deepEqual(codes, [1001, 1001])
  // With the handshake done on both sides, there is nothing to wait for.
  assert.ok(elapsed < 4_000, `${elapsed} ms`)
})

test('the close frame waits for the end of the frame under way, and not for that of the message', async (t) => {
  const target = await RawTarget.start(t, WEBSOCKET)
  const { app, port } = await start(t, target.url)
  const client = await switchTo(t, port, 'websocket')
  const head = client.text.length
  const fragment = `\x01\x7e\x01\x00${'x'.repeat(256)}`

  target.latest?.write(fragment.slice(0, 100), 'latin1')
  await eventually(() => client.text.length === head + 100, 'the first half is missing')
  const { closed } = await beginClosing(app)
  const before = client.text.slice(head)
  target.latest?.write(`${fragment.slice(100)}\x80\x03end`, 'latin1')
  await client.until(GOING_AWAY)
  target.latest?.write('\x88\x80abcd', 'latin1')
  client.write('\x88\x80abcd')
  await closed

  assert.equal(before, fragment.slice(0, 100))
  assert.equal(client.text.slice(head), fragment + GOING_AWAY)
  assert.deepEqual([client.closed], ['end'])
})

test('the target gets it masked, between the frames of the client, and nothing behind it', async (t) => {
  const target = await RawTarget.start(t, WEBSOCKET)
  const { app, port } = await start(t, target.url)
  const client = await switchTo(t, port, 'websocket')
  const head = target.text.length
  const frame = '\x02\x85abcdhello'

  client.write(frame.slice(0, 3))
  await eventually(() => target.text.length === head + 3, 'the first half is missing')
  const { closed } = await beginClosing(app)
  client.write(`${frame.slice(3)}\x80\x85abcdmore.\x88\x80abcd`)
  await eventually(() => target.text.length === head + frame.length + 8, 'the close frame is missing')
  target.latest?.write('\x88\x00', 'latin1')
  await closed

  assert.equal(target.text.slice(head, head + frame.length), frame)
  assert.deepEqual(unmasked(target.text, head + frame.length), { head: '\x88\x82', payload: '\x03\xe9' })
})

test('a message of 16 MiB that is under way arrives whole or not at all', async (t) => {
  const data = Buffer.alloc(16 * 1024 * 1024, 'x')
  const { url } = await startWebSocketTarget(t, (socket) => {
    for (let i = 0; i < 64; i++) socket.send(data.subarray(0, data.length / 64), { fin: i === 63 })
    socket.send(data)
  })
  const { app, port } = await start(t, url)
  const client = new WebSocketClient(t, port)
  const errors: Error[] = []
  client.socket.on('error', (error) => errors.push(error))
  await client.open()

  await app.close()
  const { code } = await client.end()

  assert.deepEqual([code, errors], [1001, []])
  for (const message of client.messages) assert.equal(message.data.length, data.length)
})

test('a closing handshake that is under way goes on as it would', async (t) => {
  const target = await RawTarget.start(t, WEBSOCKET)
  const { app, port } = await start(t, target.url)
  const client = await switchTo(t, port, 'websocket')
  const head = client.text.length

  client.write('\x88\x82abcd\x62\x03')
  await target.until('\x88\x82abcd\x62\x03')
  const { closed } = await beginClosing(app)
  target.latest?.write('\x81\x03bye\x88\x02\x03\xe8', 'latin1')
  target.latest?.end()
  await client.end()
  await closed

  assert.equal(client.text.slice(head), '\x81\x03bye\x88\x02\x03\xe8')
  assert.ok(target.text.endsWith('\x88\x82abcd\x62\x03'))
})

test('a WebSocket whose ends do not answer is cut after closeTimeout', async (t) => {
  const target = await RawTarget.start(t, WEBSOCKET)
  const { app, port } = await start(t, target.url, 100)
  const client = await switchTo(t, port, 'websocket')

  const begin = performance.now()
  await app.close()
  const elapsed = performance.now() - begin
  await client.end()

  assert.ok(client.text.endsWith(GOING_AWAY))
  assert.ok(elapsed >= 100 && elapsed < 1_000, `${elapsed} ms`)
  await eventually(() => target.ends === 1, 'the connection to the target stays open')
})

test('other protocols get closeTimeout to end by themselves, and not a byte of the gateway', async (t) => {
  const target = await RawTarget.start(t)
  const { app, port } = await start(t, target.url, 100)
  const [patient, quick] = [await switchTo(t, port), await switchTo(t, port)]
  const last = target.latest

  const { closed } = await beginClosing(app)
  last?.write('the last of it')
  await quick.until('the last of it')
  last?.end()
  await quick.end()
  const before = patient.closed
  await closed
  await patient.end()

  assert.deepEqual([quick.closed, before], ['end', 'no'])
  assert.match(quick.text, /\r\n\r\nthe last of it$/)
  assert.match(patient.text, /\r\n\r\n$/)
})

test('a handshake that is under way is finished, and then closed', async (t) => {
  const target = await RawTarget.start(t, '')
  const { app, port } = await start(t, target.url)
  const client = new RawClient(t, port)

  client.write(asking('websocket'))
  await target.until('\r\n\r\n')
  const { closed } = await beginClosing(app)
  target.latest?.write(WEBSOCKET)
  const text = await client.until(GOING_AWAY)
  client.socket.end()
  target.latest?.end()
  await closed

  assert.match(text, /^HTTP\/1\.1 101 /)
  assert.ok(text.endsWith(`\r\n\r\n${GOING_AWAY}`))
})

test('no new tunnel begins while the gateway closes: 503', async (t) => {
  const target = await RawTarget.start(t, '')
  const { app, port } = await start(t, target.url)
  const late = new RawClient(t, port)
  late.write('GET ')
  const [socket]: Socket[] = await once(app.server, 'connection')
  await eventually(() => (socket?.bytesRead ?? 0) > 0, 'the request does not begin')

  const { closed } = await beginClosing(app)
  late.write(asking().slice('GET '.length))
  const text = await late.end()
  await closed

  assert.match(text, /^HTTP\/1\.1 503 [\s\S]*FST_GATEWAY_CLOSING/)
  assert.equal(target.text, '')
})

for (const { what, variables, answers } of [
  { what: 'in peace when its ends answer', variables: { GATEWAY_SHUTDOWN_TIMEOUT: '10m' }, answers: true },
  {
    what: 'after GATEWAY_SHUTDOWN_TIMEOUT when they do not',
    variables: { GATEWAY_SHUTDOWN_TIMEOUT: '50ms' },
    answers: false
  }
]) {
  test(`the stand-alone gateway ends its WebSockets ${what}`, async (t) => {
    let peer: WebSocket | undefined
    const { url } = await startWebSocketTarget(t, (socket) => {
      peer = socket
      echo(socket)
    })
    const gateway = runGateway(t, { GATEWAY_PORT: '0', GATEWAY_TARGETS: url, ...variables })
    const client = await new WebSocketClient(t, Number(new URL(await gateway.listening()).port)).open()
    if (!answers) for (const socket of [client.socket, peer]) socket?.pause()

    gateway.child.kill('SIGTERM')
    const { code, stderr } = await gateway.ended()
    for (const socket of [client.socket, peer]) socket?.resume()
    const closed = await client.end()

    assert.deepEqual([code, stderr, closed.code], [0, '', 1001])
  })
}
