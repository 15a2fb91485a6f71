import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { eventually, RawClient, script, send, startGateway } from './forwarding-helper.ts'
import { freePort, startRawTarget, startTarget } from './helper.ts'
import { asking, echo, RawTarget, SWITCH, startWebSocketTarget, switchTo, WebSocketClient } from './upgrade-helper.ts'

const LIMIT = 150
const NONE = { connect: 0, response: 0, idle: 0, total: 0 }
const MIB = 1024 * 1024

async function timed(promise: Promise<unknown>): Promise<number> {
  const start = performance.now()
  await promise
  return performance.now() - start
}

/** Not early, and by the timeout: how close that is, on a machine with nothing else to do, is told by deadlines.test.ts. */
function assertTimedOut(elapsed: number): void {
  assert.ok(elapsed >= LIMIT && elapsed <= LIMIT + 1_000, `${elapsed} ms`)
}

test('the client closes its half: the target learns of it, and may go on', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = await switchTo(t, gateway.port)

  client.socket.end('last words')
  await target.until('last words')
  await eventually(() => target.ends === 1, 'the target does not learn of the end')
  target.latest?.write('still here')
  await client.until('still here')
  const inFlight = gateway.app.balancers.get('users').targets[0]?.inFlight
  client.socket.removeAllListeners('end')
  target.latest?.end()
  await once(client.socket, 'end')

  assert.equal(inFlight, 1)
  await gateway.idle()
})

test('the target closes its half: the client learns of it, and may go on', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = await switchTo(t, gateway.port)
  client.socket.removeAllListeners('end')

  target.latest?.end('last words')
  await client.until('last words')
  await once(client.socket, 'end')
  client.write('still here')
  await target.until('still here')
  client.socket.end()

  await eventually(() => target.ends === 1, 'the target does not learn of the end')
  await gateway.idle()
})

for (const { who, close, how } of [
  { who: 'client', how: 'reset', close: (client: Socket) => client.resetAndDestroy() },
  { who: 'client', how: 'end', close: (client: Socket) => client.destroy() },
  { who: 'target', how: 'reset', close: (_client: Socket, target: Socket | undefined) => target?.resetAndDestroy() },
  { who: 'target', how: 'end', close: (_client: Socket, target: Socket | undefined) => target?.destroy() }
]) {
  test(`the ${how} of the connection of the ${who} is that of the other one, at once`, async (t) => {
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url])
    const client = await switchTo(t, gateway.port)
    const other = who === 'client' ? target.latest : client.socket
    let ended = 'no'
    other?.on('end', () => {
      ended = 'end'
    })
    other?.on('error', () => {
      ended = 'reset'
    })

    close(client.socket, target.latest)
    await eventually(() => ended !== 'no', `the loss of the ${who} is not handed on`)

    assert.equal(ended, how)
    other?.destroy()
    await gateway.idle()
  })
}

test('a reset right behind the last data is no end', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = await switchTo(t, gateway.port)

  target.latest?.write('half of')
  target.latest?.resetAndDestroy()
  await client.end()

  assert.equal(client.closed, 'reset')
  await gateway.idle()
})

test('a WebSocket whose client is killed is over for its target at once', async (t) => {
  let closed = 0
  const { url } = await startWebSocketTarget(t, (socket) => socket.on('close', (code) => (closed = code)))
  const gateway = await startGateway(t, [url])
  const client = await new WebSocketClient(t, gateway.port).open()

  client.socket.terminate()
  await eventually(() => closed !== 0, 'the target keeps the WebSocket')

  assert.equal(closed, 1006)
  await gateway.idle()
})

test('a client that leaves before the 101 takes the connection to the target with it', async (t) => {
  const target = await RawTarget.start(t, '')
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write(asking())
  await target.until('\r\n\r\n')
  client.socket.destroy()

  await eventually(() => target.ends === 1, 'the target keeps its connection')
  await gateway.idle()
})

test('a target that closes before its 101 is a 502', async (t) => {
  const { url } = await startRawTarget(t, script((socket) => socket.end('HTTP/1.1 101 Sw')).onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(asking())

  assert.match(await client.end(), /^HTTP\/1\.1 502 [\s\S]*FST_GATEWAY_TARGET_CLOSED/)
})

test('without a byte in either direction, timeouts.idle cuts both connections', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url], { upstream: { timeouts: { ...NONE, idle: LIMIT } } })
  const client = await switchTo(t, gateway.port)

  const elapsed = await timed(client.end())

  assert.equal(client.closed, 'reset')
  assertTimedOut(elapsed)
  await eventually(() => target.sockets.size === 0, 'the connection to the target stays open')
  await gateway.idle()
})

test('a WebSocket that is idle is closed without a close frame, and without a reset', async (t) => {
  const codes: number[] = []
  const { url } = await startWebSocketTarget(t, (socket) => socket.on('close', (code) => codes.push(code)))
  const gateway = await startGateway(t, [url], { upstream: { timeouts: { ...NONE, idle: LIMIT } } })
  const client = new WebSocketClient(t, gateway.port)
  const errors: Error[] = []
  client.socket.on('error', (error) => errors.push(error))
  await client.open()

  const elapsed = await timed(client.end())
  await eventually(() => codes.length === 1, 'the target keeps the WebSocket')

  assert.deepEqual([client.closed?.code, codes, errors], [1006, [1006], []])
  assertTimedOut(elapsed)
})

for (const who of ['client', 'target'] as const) {
  test(`bytes of the ${who} alone keep a tunnel alive`, async (t) => {
    const target = await RawTarget.start(t)
    const gateway = await startGateway(t, [target.url], { upstream: { timeouts: { ...NONE, idle: LIMIT } } })
    const client = await switchTo(t, gateway.port)
    const start = performance.now()
    let last = start
    const timer = setInterval(() => {
      last = performance.now()
      const socket = who === 'client' ? client.socket : target.latest
      socket?.write('.')
      if (last - start > 3 * LIMIT) clearInterval(timer)
    }, LIMIT / 5)
    t.after(() => clearInterval(timer))

    await client.end()

    assert.ok(last - start > 3 * LIMIT, `cut after ${performance.now() - start} ms`)
    assertTimedOut(performance.now() - last)
  })
}

test('timeouts.total bounds the handshake, not the tunnel', async (t) => {
  const target = await RawTarget.start(t)
  const timeouts = { ...NONE, total: LIMIT / 3, idle: LIMIT }
  const gateway = await startGateway(t, [target.url], { upstream: { timeouts } })
  const client = await switchTo(t, gateway.port)

  assertTimedOut(await timed(client.end()))
})

for (const [name, code] of [
  ['response', 'FST_GATEWAY_RESPONSE_TIMEOUT'],
  ['total', 'FST_GATEWAY_TOTAL_TIMEOUT']
] as const) {
  test(`timeouts.${name} in a handshake is a 504`, async (t) => {
    const target = await RawTarget.start(t, '')
    const gateway = await startGateway(t, [target.url], { upstream: { timeouts: { ...NONE, [name]: LIMIT } } })
    const client = new RawClient(t, gateway.port)

    client.write(asking())
    const elapsed = await timed(client.end())

    assert.match(client.text, new RegExp(`^HTTP/1\\.1 504 [\\s\\S]*${code}`))
    assertTimedOut(elapsed)
    await gateway.idle()
  })
}

test('a client that does not read slows the target down, and gets every byte in the end', async (t) => {
  const size = 32 * MIB
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  let held: Socket | undefined
  gateway.app.server.on('connection', (socket: Socket) => {
    held = socket
  })
  const client = await switchTo(t, gateway.port)
  client.socket.pause()
  let received = 0
  client.socket.removeAllListeners('data')

  for (let i = 0; i < size / MIB; i++) target.latest?.write(Buffer.alloc(MIB))
  target.latest?.end()
  await eventually(() => held?.writableNeedDrain === true, 'the client takes everything')
  const waiting = held?.writableLength ?? 0
  client.socket.on('data', (text: string) => {
    received += text.length
  })
  client.socket.resume()
  await once(client.socket, 'end')

  assert.equal(received, size)
  assert.ok(waiting < 256 * 1024, `${waiting} bytes wait in the gateway`)
  await gateway.idle()
})

test('a target that does not read slows the client down, and gets every byte in the end', async (t) => {
  const size = 32 * MIB
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  let held: Socket | undefined
  const onSocket = (message: unknown) => {
    if (typeof message === 'object' && message !== null && 'socket' in message && message.socket instanceof Socket) {
      const { socket } = message
      socket.once('connect', () => {
        if (socket.remotePort === Number(new URL(target.url).port)) held = socket
      })
    }
  }
  subscribe('net.client.socket', onSocket)
  t.after(() => unsubscribe('net.client.socket', onSocket))
  const client = await switchTo(t, gateway.port)
  target.latest?.pause()
  target.latest?.removeAllListeners('data')

  for (let i = 0; i < size / MIB; i++) client.write(Buffer.alloc(MIB))
  client.socket.end()
  await eventually(() => held?.writableNeedDrain === true, 'the target takes everything')
  const waiting = held?.writableLength ?? 0
  let received = 0
  target.latest?.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  target.latest?.resume()
  await eventually(() => target.ends === 1, 'the end is missing')

  assert.equal(received, size)
  assert.ok(waiting < 256 * 1024, `${waiting} bytes wait in the gateway`)
  target.latest?.end()
  await gateway.idle()
})

test('a client that stops reading is cut by timeouts.idle', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url], { upstream: { timeouts: { ...NONE, idle: LIMIT } } })
  const client = await switchTo(t, gateway.port)

  client.socket.pause()
  target.latest?.write(Buffer.alloc(64 * MIB))

  await eventually(() => target.sockets.size === 0, 'the connection to the target stays open')
  await gateway.idle()
})

test('a tunnel holds a place at its target until it ends', async (t) => {
  const { url } = await startWebSocketTarget(t, echo)
  const gateway = await startGateway(t, [{ url, maxConnections: 1 }])
  const client = await new WebSocketClient(t, gateway.port).open()

  const full = await send(gateway.port)
  client.socket.close()
  await client.end()
  await gateway.idle()
  const free = await send(gateway.port)

  assert.deepEqual([full.status, free.status], [503, 426])
})

test('what becomes of a tunnel is no failure of its target; a handshake that fails is one', async (t) => {
  const target = await RawTarget.start(t)
  const other = await startTarget(t, (_request, response) => response.end())
  const gateway = await startGateway(t, [target.url, { url: other.url, backup: true }])
  const client = await switchTo(t, gateway.port)
  target.latest?.resetAndDestroy()
  await client.end()
  await gateway.idle()
  const dead = await startGateway(t, [`http://127.0.0.1:${await freePort()}`, { url: other.url, backup: true }])

  const refused = new RawClient(t, dead.port)
  refused.write(asking())
  await refused.end()

  assert.equal(gateway.app.balancers.get('users').targets[0]?.fails, 0)
  assert.equal(dead.app.balancers.get('users').targets[0]?.fails, 1)
})

test('a tunnel through a connection that had served before', async (t) => {
  const heads: string[] = []
  const connections = new Set<Socket>()
  const { url } = await startRawTarget(
    t,
    script((socket, head) => {
      heads.push(head)
      connections.add(socket)
      socket.write(head.includes('upgrade: foo') ? SWITCH : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    }).onSocket
  )
  const gateway = await startGateway(t, [url])

  await send(gateway.port)
  await switchTo(t, gateway.port)
  const after = await send(gateway.port)

  assert.equal(after.body.toString(), 'ok')
  assert.deepEqual([heads.length, connections.size], [3, 2])
})
