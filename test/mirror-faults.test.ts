import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { assertError, eventually, RawClient, send } from './forwarding-helper.ts'
import { freePort, startRawTarget, startTarget } from './helper.ts'
import { countersOf, startMirrored, startRecording } from './mirror-helper.ts'

const KB = 1024

test('a mirror that is a black hole holds up no answer, and is given up after its timeout', async (t) => {
  const primary = await startRecording(t, 'primary')
  const hole = await startRawTarget(t, (socket) => void socket.resume().on('end', () => socket.end()))
  const { port, mirror, quiet, app } = await startMirrored(t, primary.url, hole.url, { timeout: '100ms' })

  const replies = await Promise.all(Array.from({ length: 5 }, () => send(port, { method: 'POST' }, 'body')))
  await quiet()

  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200, 200, 200]
  )
  assert.deepEqual(countersOf(mirror), { sent: 5, timedOut: 5 })
  assert.equal(mirror.heldBytes, 0)
  assert.equal(app.balancers.get('shadow').targets[0]?.inFlight, 0)
  await eventually(() => hole.sockets.size === 0, 'a connection to the mirror stays')
})

test('the client has its answer while the mirror has not even begun to answer', async (t) => {
  const primary = await startRecording(t, 'primary')
  const answers: (() => void)[] = []
  const shadow = await startTarget(t, (_request, response) => answers.push(() => response.end('late')))
  const { port, mirror, quiet } = await startMirrored(t, primary.url, shadow.url, { timeout: '60s' })

  const reply = await send(port)
  await eventually(() => answers.length === 1, 'no copy was sent')
  const before = countersOf(mirror)
  answers[0]?.()
  await quiet()

  assert.equal(reply.status, 200)
  assert.deepEqual(before, { sent: 1 })
})

test('what is kept for a mirror that reads nothing is bounded, and further requests are not copied', async (t) => {
  const primary = await startRecording(t, 'primary')
  const slow = await startRawTarget(t, (socket) => socket.pause())
  const options = { bodyLimit: '256kb', maxInFlight: 2, timeout: '60s' }
  const { port, mirror, app } = await startMirrored(t, primary.url, slow.url, options)
  const body = Buffer.alloc(256 * KB, 'x')

  for (let sent = 0; sent < 6; sent++) await send(port, { method: 'PUT' }, body)
  const { inFlight, heldBytes } = mirror
  await app.close()

  assert.deepEqual(
    primary.seen.map(({ body }) => body.length),
    Array(6).fill(256 * KB)
  )
  assert.equal(inFlight, 2)
  assert.equal(heldBytes, 2 * 256 * KB)
  assert.deepEqual(countersOf(mirror), { sent: 2, cancelled: 2, droppedBusy: 4 })
  assert.equal(mirror.inFlight, 0)
  assert.equal(mirror.heldBytes, 0)
})

for (const { name, onSocket } of [
  { name: 'resets each connection', onSocket: (socket: Socket) => socket.resetAndDestroy() },
  { name: 'closes each connection', onSocket: (socket: Socket) => socket.end() },
  { name: 'answers with garbage', onSocket: (socket: Socket) => socket.end('what?\r\n\r\n') },
  {
    name: 'breaks off in its body',
    onSocket: (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab')
  },
  {
    name: 'switches protocols unasked',
    onSocket: (socket: Socket) => socket.write('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n')
  }
]) {
  test(`a mirror that ${name} is counted as failed, once for each copy: nothing is tried again`, async (t) => {
    const primary = await startRecording(t, 'primary')
    let connections = 0
    const shadow = await startRawTarget(t, (socket) => {
      connections++
      socket.on('data', () => {})
      socket.once('data', () => onSocket(socket))
    })
    const { port, mirror, quiet } = await startMirrored(t, primary.url, shadow.url, { timeout: '60s' })

    for (let sent = 0; sent < 3; sent++) {
      assert.equal((await send(port, { method: 'POST' }, 'body')).status, 200)
      await quiet()
    }

    assert.deepEqual(countersOf(mirror), { sent: 3, failed: 3 })
    assert.equal(connections, 3)
    assert.equal(mirror.heldBytes, 0)
  })
}

test('a mirror that is not there is one warning in the log, and another line when it is back', async (t) => {
  const primary = await startRecording(t, 'primary')
  const port = await freePort()
  const lines: { level: number; msg: string }[] = []
  const stream = { write: (line: string) => lines.push(JSON.parse(line)) }
  const gateway = await startMirrored(
    t,
    primary.url,
    `http://127.0.0.1:${port}`,
    {},
    { server: { logger: { level: 'info', stream } } }
  )
  for (let sent = 0; sent < 3; sent++) {
    await send(gateway.port)
    await gateway.quiet()
  }

  const { server } = await startTarget(t, (_request, response) => response.end())
  await new Promise((resolve) => server.close(resolve))
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await send(gateway.port)
  await gateway.quiet()

  assert.deepEqual(countersOf(gateway.mirror), { sent: 4, failed: 3, answered: 1 })
  assert.deepEqual(
    lines.filter(({ msg }) => msg.startsWith('mirror')).map(({ level, msg }) => `${level} ${msg}`),
    ['40 mirrored request failed', '30 mirror answers again']
  )
})

test('a body that is announced as larger than the limit is not kept at all', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow')
  const { port, mirror } = await startMirrored(t, primary.url, shadow.url, { bodyLimit: '1kb' })

  await send(port, { method: 'POST', headers: { 'content-length': 1025 } }, Buffer.alloc(1025))

  assert.deepEqual(countersOf(mirror), { droppedBody: 1 })
  assert.equal(primary.seen[0]?.body.length, 1025)
})

test('a body that turns out to be larger than the limit is let go of, and reaches the target whole', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow')
  const { port, mirror } = await startMirrored(t, primary.url, shadow.url, { bodyLimit: '1kb' })
  const client = new RawClient(t, port)

  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  client.write(`400\r\n${'x'.repeat(1024)}\r\n`)
  await eventually(() => mirror.heldBytes === 1024, 'nothing is kept')
  client.write('1\r\ny\r\n0\r\n\r\n')
  await client.until('primary')

  assert.deepEqual(countersOf(mirror), { droppedBody: 1 })
  assert.equal(mirror.heldBytes, 0)
  assert.equal(mirror.inFlight, 0)
  assert.equal(primary.seen[0]?.body.length, 1025)
})

test('a client that leaves within its upload leaves no copy behind', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow')
  const { port, mirror, quiet } = await startMirrored(t, primary.url, shadow.url)
  const client = new RawClient(t, port)

  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
  await eventually(() => mirror.heldBytes === 3, 'nothing is kept')
  client.socket.destroy()
  await quiet()

  assert.deepEqual(countersOf(mirror), { droppedIncomplete: 1 })
  assert.equal(mirror.heldBytes, 0)
  assert.equal(shadow.seen.length, 0)
})

test('a client that leaves before its answer changes nothing for the copy', async (t) => {
  const primary = await startRecording(t, 'primary', () => {})
  let answer: (() => void) | undefined
  const shadow = await startTarget(t, (_request, response) => {
    answer = () => response.end('late')
  })
  const { port, mirror, quiet, idle } = await startMirrored(t, primary.url, shadow.url)
  const client = new RawClient(t, port)

  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => answer !== undefined && primary.seen.length === 1, 'the request does not arrive')
  client.socket.destroy()
  await idle()
  answer?.()
  await quiet()

  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1 })
})

test('a primary that fails changes nothing for the copy, nor a mirror for the error', async (t) => {
  const shadow = await startRecording(t, 'shadow')
  const { port, mirror, quiet } = await startMirrored(t, `http://127.0.0.1:${await freePort()}`, shadow.url)

  const reply = await send(port)
  await quiet()

  assertError(reply, 502, 'FST_GATEWAY_CONNECT_FAILED')
  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1 })
})

test('a request whose body nobody reads, for want of a target, leaves no copy behind', async (t) => {
  const shadow = await startRecording(t, 'shadow')
  const { port, mirror, quiet, app } = await startMirrored(t, 'http://127.0.0.1:9', shadow.url)
  const [target] = app.balancers.get('users').targets
  assert.ok(target)
  target.down = true
  const client = new RawClient(t, port)

  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
  await client.until('FST_GATEWAY_NO_TARGET')
  client.socket.destroy()
  await quiet()

  assert.deepEqual(countersOf(mirror), { droppedIncomplete: 1 })
})

test('a mirror without an available target is counted, and costs no more', async (t) => {
  const primary = await startRecording(t, 'primary')
  const { port, mirror, quiet, app } = await startMirrored(t, primary.url, 'http://127.0.0.1:9')
  const [target] = app.balancers.get('shadow').targets
  assert.ok(target)
  target.down = true

  assert.equal((await send(port, { method: 'POST' }, 'body')).status, 200)
  await quiet()

  assert.deepEqual(countersOf(mirror), { droppedNoTarget: 1 })
  assert.equal(mirror.heldBytes, 0)
})

test('of an endless response no more is read than responseLimit', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startTarget(t, (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(KB)));
    }
    response.on('drain', more)
    more()
  })
  const { port, mirror, quiet } = await startMirrored(t, primary.url, shadow.url, {
    responseLimit: '8kb',
    timeout: '60s'
  })

  await send(port)
  await quiet()

  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1 })
  await eventually(() => shadow.sockets.size === 0, 'the response is read on')
})

test('nothing of a mirror is left once the application has closed', async (t) => {
  const primary = await startRecording(t, 'primary')
  const hole = await startRawTarget(t, (socket) => void socket.resume().on('end', () => socket.end()))
  const { port, mirror, app } = await startMirrored(t, primary.url, hole.url, { timeout: '60s', compare: {} })
  await send(port, { method: 'POST' }, 'body')
  await eventually(() => mirror.counters.sent === 1, 'no copy was sent')

  await app.close()

  assert.deepEqual(countersOf(mirror), { sent: 1, cancelled: 1 })
  assert.equal(mirror.inFlight, 0)
  assert.equal(app.mirrors.heldBytes, 0)
  await eventually(() => hole.sockets.size === 0, 'a connection to the mirror stays')
})

test('a mirror whose circuit breaker is open gets no copies', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow')
  const { port, mirror, quiet, app } = await startMirrored(t, primary.url, shadow.url)
  app.balancers.get('shadow').gate = { admit: () => false, retryAfter: 0 }

  assert.equal((await send(port)).status, 200)
  await quiet()

  assert.deepEqual(countersOf(mirror), { droppedNoTarget: 1 })
})
