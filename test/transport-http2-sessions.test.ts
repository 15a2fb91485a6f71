import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { test } from 'node:test'
import { eventually } from './forwarding-helper.ts'
import { freePort, portOf, startRawTarget } from './helper.ts'
import {
  ACK,
  CANCEL,
  data,
  END_HEADERS,
  END_STREAM,
  type Field,
  type Frame,
  type FramePeer,
  frame,
  GOAWAY,
  goaway,
  HEADERS,
  headers,
  MAX_CONCURRENT_STREAMS,
  NO_ERROR,
  PING,
  REFUSED_STREAM,
  rstStream,
  settings
} from './http2-frames-helper.ts'
import {
  ChunkedBody,
  dispatch,
  exchange,
  type Recorder,
  startClock,
  startFrameTarget,
  startHttp2Target,
  startTransport,
  targetAt
} from './http2-transport-helper.ts'

const OK: Field[] = [[':status', '200']]

function isUnprocessed({ error }: Recorder): boolean {
  return error !== undefined && 'unprocessed' in error
}

function isStale({ error }: Recorder): boolean {
  return error !== undefined && 'stale' in error
}

/** A target that holds what it is asked until it is told to answer. */
function hold(): { held: ServerHttp2Stream[]; onStream: (stream: ServerHttp2Stream) => void; answer: () => void } {
  const held: ServerHttp2Stream[] = []
  return {
    held,
    onStream: (stream) => held.push(stream),
    answer() {
      for (const stream of held.splice(0)) {
        if (stream.destroyed) continue
        stream.respond()
        stream.end('ok')
      }
    }
  }
}

test('requests at the same time share one session', async (t) => {
  const target = hold()
  const { url, opened } = await startHttp2Target(t, target.onStream)
  const transport = startTransport(t)
  const address = targetAt(url)

  const recorders = Array.from({ length: 90 }, () => dispatch(transport, address).recorder)
  await eventually(() => target.held.length === 90, 'not all under way at once')
  target.answer()
  for (const recorder of recorders) assert.equal((await recorder.over).body, 'ok')

  assert.equal(opened(), 1)
})

for (const [limit, requests, expected] of [
  [10, 25, 3],
  [1, 5, 5]
] as const) {
  test(`where a target takes ${limit} streams at once, ${requests} requests make ${expected} sessions`, async (t) => {
    const target = hold()
    const { url, sessions } = await startHttp2Target(t, target.onStream, { settings: { maxConcurrentStreams: limit } })
    const transport = startTransport(t)
    const address = targetAt(url)

    const recorders = Array.from({ length: requests }, () => dispatch(transport, address).recorder)
    await eventually(() => target.held.length === requests, 'not all under way at once')
    const counts = [...sessions].map((session) => target.held.filter((stream) => stream.session === session).length)
    target.answer()
    for (const recorder of recorders) assert.equal((await recorder.over).body, 'ok')

    assert.equal(counts.length, expected)
    assert.ok(counts.every((count) => count <= limit))
  })
}

test('beyond 100 sessions requests wait for a stream to become free, in their order', async (t) => {
  const target = hold()
  const { url, opened } = await startHttp2Target(t, target.onStream, { settings: { maxConcurrentStreams: 1 } })
  const transport = startTransport(t)
  const address = targetAt(url)
  const order: number[] = []

  const recorders = Array.from({ length: 110 }, (_, i) => {
    const { recorder } = dispatch(transport, address, { path: `/${i}`, connectTimeout: 20_000 })
    recorder.over.then(() => order.push(i))
    return recorder
  })
  await eventually(() => target.held.length === 100, 'not 100 at once')
  const before = recorders.filter(({ calls }) => calls.length > 0).length
  target.answer()
  await eventually(() => target.held.length === 10, 'the others do not follow')
  target.answer()
  for (const recorder of recorders) await recorder.over

  assert.equal(before, 100)
  assert.equal(opened(), 100)
  assert.deepEqual(
    order.slice(100).sort((a, b) => a - b),
    [100, 101, 102, 103, 104, 105, 106, 107, 108, 109]
  )
})

test('a target that takes no streams for now is asked as soon as it does, on the session there is', async (t) => {
  const { url, peers } = await startFrameTarget(
    t,
    (peer, { type, id }) => {
      if (type === HEADERS) peer.send(headers(id, OK))
    },
    { [MAX_CONCURRENT_STREAMS]: 0 }
  )
  const transport = startTransport(t)
  const address = targetAt(url)

  const first = dispatch(transport, address).recorder
  await eventually(() => peers[0]?.frames.some(({ flags }) => (flags & ACK) !== 0) === true, 'no session')
  const second = dispatch(transport, address).recorder
  const before = [...first.calls, ...second.calls]
  peers[0]?.send(settings({ [MAX_CONCURRENT_STREAMS]: 5 }))
  await Promise.all([first.over, second.over])

  assert.deepEqual(before, [])
  assert.deepEqual([first.head?.status, second.head?.status, peers.length], [200, 200, 1])
})

test('a request that no session takes in time has not reached the target', async (t) => {
  const { url, peers } = await startFrameTarget(t, () => {}, { [MAX_CONCURRENT_STREAMS]: 0 })
  const transport = startTransport(t)

  const recorder = await exchange(transport, targetAt(url), { connectTimeout: 100 })

  recorder.assertError('FST_GATEWAY_CONNECT_TIMEOUT')
  assert.deepEqual(recorder.calls, ['error'])
  assert.equal(peers[0]?.frames.filter(({ type }) => type === HEADERS).length, 0)
})

test('a limit that is lowered holds for what comes next', async (t) => {
  const waiting: [FramePeer, number][] = []
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) waiting.push([peer, id])
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  dispatch(transport, address)
  await eventually(() => waiting.length === 1, 'no request')
  const [first] = peers
  assert.ok(first !== undefined)
  const acknowledged = () => first.frames.filter(({ type, flags }) => type === 4 && (flags & ACK) !== 0).length
  const before = acknowledged()
  first.send(settings({ [MAX_CONCURRENT_STREAMS]: 1 }))
  await eventually(() => acknowledged() === before + 1, 'not acknowledged')
  dispatch(transport, address)
  await eventually(() => waiting.length === 2, 'no second request')

  assert.deepEqual(
    waiting.map(([peer]) => peers.indexOf(peer)),
    [0, 1]
  )
})

test('an idle session is closed in order after half a minute, and not before', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) peer.send(headers(id, OK))
  })
  const clock = startClock(t)
  const transport = startTransport(t, { now: clock.now })
  const address = targetAt(url)

  await exchange(transport, address)
  clock.pass(29_000)
  await exchange(transport, address)
  clock.pass(29_000)
  const early = peers[0]?.frames.some(({ type }) => type === GOAWAY)
  clock.pass(1_000)

  assert.equal(early, false)
  assert.equal(await peers[0]?.goaway(), NO_ERROR)
  await peers[0]?.end()
  assert.equal((await exchange(transport, address)).head?.status, 200)
  assert.equal(peers.length, 2)
})

test('an idle session whose target does not close its side is closed all the same', async (t) => {
  let received = ''
  const { url, sockets } = await startRawTarget(t, (socket) => {
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    socket.write(settings())
  })
  const clock = startClock(t)
  const transport = startTransport(t, { now: clock.now })

  const { recorder, attempt } = dispatch(transport, targetAt(url))
  await eventually(() => recorder.calls.includes('sent'), 'no session')
  attempt.abort()
  await eventually(() => received.includes(rstStream(1, CANCEL).toString('latin1')), 'not reset')
  await eventually(() => {
    clock.pass(31_000)
    return [...sockets].every((socket) => socket.readableEnded)
  }, 'not closed')

  // What is still written meets nobody.
  await eventually(() => {
    clock.pass(1_000)
    for (const socket of sockets) socket.write(frame(PING, 0, 0, '12345678'))
    return sockets.size === 0
  }, 'half-open')
})

test('after a GOAWAY streams up to the last one finish, those above may be repeated, new ones go elsewhere', async (t) => {
  const requests: [FramePeer, number][] = []
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) requests.push([peer, id])
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  const [first, second, third] = [1, 2, 3].map(() => dispatch(transport, address).recorder)
  await eventually(() => requests.length === 3, 'not under way')
  const [old] = peers
  old?.send(goaway(3, NO_ERROR))
  await third?.over
  const fourth = dispatch(transport, address).recorder
  await eventually(() => requests.length === 4, 'no new session')
  old?.send(
    headers(3, OK, END_HEADERS),
    data(3, 'b', END_STREAM),
    headers(1, OK, END_HEADERS),
    data(1, 'a', END_STREAM)
  )
  peers[1]?.send(headers(1, OK))
  await Promise.all([first?.over, second?.over, fourth.over])

  assert.deepEqual([first?.body, second?.body, fourth.head?.status], ['a', 'b', 200])
  assert.ok(third !== undefined && isUnprocessed(third))
  third.assertError('FST_GATEWAY_TARGET_CLOSED')
  assert.match(String(third.error?.cause), /GOAWAY with NO_ERROR/)
  // The old session is closed once nothing is left on it.
  await old?.end()
})

test('a GOAWAY in two steps fails nothing', async (t) => {
  const requests: number[] = []
  const { url, peers } = await startFrameTarget(t, (_peer, { type, id }) => {
    if (type === HEADERS) requests.push(id)
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  const first = dispatch(transport, address).recorder
  await eventually(() => requests.length === 1, 'not under way')
  peers[0]?.send(goaway(2 ** 31 - 1, NO_ERROR))
  await eventually(() => {
    if (peers.length === 1) dispatch(transport, address)
    return peers.length === 2
  }, 'no new session')
  const late = requests.length
  peers[0]?.send(goaway(2 * late + 1, NO_ERROR), headers(1, OK))
  await first.over

  assert.equal(first.head?.status, 200)
})

test('a GOAWAY with an error says why, and what was not processed', async (t) => {
  const requests: number[] = []
  const { url, peers } = await startFrameTarget(t, (_peer, { type, id }) => {
    if (type === HEADERS) requests.push(id)
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  const [first, second] = [1, 2].map(() => dispatch(transport, address).recorder)
  await eventually(() => requests.length === 2, 'not under way')
  const payload = Buffer.concat([goaway(1, 11).subarray(9), Buffer.from('too_many_pings')])
  peers[0]?.send(frame(GOAWAY, 0, 0, payload))
  await Promise.all([first?.over, second?.over])

  assert.ok(first !== undefined && !isUnprocessed(first))
  assert.ok(second !== undefined && isUnprocessed(second))
  assert.match(String(first.error?.cause), /GOAWAY with ENHANCE_YOUR_CALM: too_many_pings/)
})

test('a refused stream may be repeated, and leaves the session in use', async (t) => {
  let refused = false
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type !== HEADERS) return
    peer.send(refused ? headers(id, OK) : rstStream(id, REFUSED_STREAM))
    refused = true
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  const first = await exchange(transport, address, { method: 'POST', body: new ChunkedBody(['x']) })
  const second = await exchange(transport, address, { method: 'POST', body: new ChunkedBody(['x']) })

  assert.ok(isUnprocessed(first))
  assert.equal(second.head?.status, 200)
  assert.equal(peers.length, 1)
})

for (const how of ['closed', 'closed after a GOAWAY', 'reset'] as const) {
  test(`a session that its target ${how} while idle meets no request`, async (t) => {
    const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
      if (type === HEADERS) peer.send(headers(id, OK))
    })
    const transport = startTransport(t)
    const address = targetAt(url)

    await exchange(transport, address)
    const socket = peers[0]?.socket
    if (how === 'closed after a GOAWAY') socket?.write(goaway(1, NO_ERROR))
    // What is done here is with the system before the event loop asks it for news.
    if (how === 'reset') socket?.resetAndDestroy()
    else socket?.destroy()
    const recorder = await exchange(transport, address, { method: 'POST', body: new ChunkedBody(['x']) })

    assert.equal(recorder.error, undefined)
    assert.equal(peers.length, 2)
  })
}

test('a session that ends after a rest, without a word, was stale; one that never rested was not', async (t) => {
  let answer = true
  const { url } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type !== HEADERS) return
    if (answer) peer.send(headers(id, OK))
    else peer.socket.destroy()
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  await exchange(transport, address)
  answer = false
  const rested = await exchange(transport, address)
  const never = await exchange(transport, address)

  rested.assertError('FST_GATEWAY_TARGET_CLOSED')
  assert.ok(isStale(rested))
  never.assertError('FST_GATEWAY_TARGET_CLOSED')
  assert.ok(!isStale(never))
})

test('a session that ends after it has said something was not stale', async (t) => {
  let first = true
  const { url } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type !== HEADERS) return
    if (first) peer.send(headers(id, OK))
    else peer.socket.end(headers(id, [[':status', '103']], END_HEADERS))
    first = false
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  await exchange(transport, address)
  const recorder = await exchange(transport, address)

  recorder.assertError('FST_GATEWAY_TARGET_CLOSED')
  assert.ok(!isStale(recorder))
})

test('fresh requests share a session that has not rested', async (t) => {
  const target = hold()
  const { url, opened } = await startHttp2Target(t, target.onStream)
  const transport = startTransport(t)
  const address = targetAt(url)
  const run = async (fresh: boolean, count: number) => {
    const recorders = Array.from({ length: count }, () => dispatch(transport, address, { fresh }).recorder)
    await eventually(() => target.held.length === count, 'not all under way')
    target.answer()
    for (const recorder of recorders) await recorder.over
  }

  await run(false, 1)
  await run(true, 5)

  assert.equal(opened(), 2)
})

/** A target that answers the first request of a connection, after which nothing is on its way; and then `onFrame`. */
function answerOnce(onFrame: (peer: FramePeer, frame: Frame) => void = () => {}) {
  return (peer: FramePeer, one: Frame) => {
    if (one.type === HEADERS && one.id === 1) peer.send(headers(1, OK))
    else onFrame(peer, one)
  }
}

test('a black hole is noticed by an attempt that was given up: the next goes to a new session', async (t) => {
  const { url, peers } = await startFrameTarget(t, answerOnce())
  const clock = startClock(t)
  const transport = startTransport(t, { now: clock.now })
  const address = targetAt(url)
  const giveUp = async (id: number, milliseconds: number) => {
    const { attempt } = dispatch(transport, address)
    await peers[0]?.frame(HEADERS, id)
    clock.pass(milliseconds)
    attempt.abort()
  }

  await exchange(transport, address)
  await giveUp(3, 500)
  await giveUp(5, 1_200)
  await exchange(transport, address)

  assert.equal(peers.length, 2)
  await peers[0]?.end()
})

test('a silent session is asked by a PING, avoided when it does not answer, and given up at last', async (t) => {
  const { url, peers } = await startFrameTarget(t, answerOnce())
  const clock = startClock(t)
  const transport = startTransport(t, { now: clock.now })
  const address = targetAt(url)

  await exchange(transport, address)
  const hanging = dispatch(transport, address).recorder
  await peers[0]?.frame(HEADERS, 3)
  clock.pass(4_000)
  await peers[0]?.frame(PING)
  clock.pass(4_000)
  const other = await exchange(transport, address)
  const waiting = hanging.ends
  clock.pass(20_000)
  await hanging.over

  assert.equal(other.head?.status, 200)
  assert.equal(peers.length, 2)
  assert.equal(waiting, 0)
  hanging.assertError('FST_GATEWAY_TARGET_CLOSED')
  assert.match(String(hanging.error?.cause), /does not answer a PING/)
})

test('a silent session whose target answers the PING stays in use, and is asked again after five minutes', async (t) => {
  const target = answerOnce((peer, { type, id, payload }) => {
    if (type === PING) peer.send(frame(PING, ACK, 0, payload))
    if (type === HEADERS && id > 3) peer.send(headers(id, OK))
  })
  const { url, peers } = await startFrameTarget(t, target)
  const clock = startClock(t)
  const transport = startTransport(t, { now: clock.now })
  const address = targetAt(url)
  const pings = () => peers[0]?.frames.filter(({ type }) => type === PING).length ?? 0

  await exchange(transport, address)
  const { recorder } = dispatch(transport, address)
  await peers[0]?.frame(HEADERS, 3)
  clock.pass(4_000)
  await peers[0]?.frame(PING)
  // What arrives after the answer to the PING says that it was heard.
  await exchange(transport, address)
  clock.pass(290_000)
  const patient = pings()
  clock.pass(20_000)
  await eventually(() => pings() === 2, 'no second PING')

  assert.equal(patient, 1)
  assert.equal(recorder.ends, 0)
  assert.equal(peers.length, 1)
})

test('destroy() ends everything: what is under way, what waits, and the connections', async (t) => {
  const target = hold()
  const { url, sessions } = await startHttp2Target(t, target.onStream)
  const closed = await startFrameTarget(t, () => {}, { [MAX_CONCURRENT_STREAMS]: 0 })
  const transport = startTransport(t)

  const underWay = dispatch(transport, targetAt(url)).recorder
  const waits = dispatch(transport, targetAt(closed.url)).recorder
  await eventually(() => target.held.length === 1, 'not under way')
  transport.destroy()
  await Promise.all([underWay.over, waits.over])

  underWay.assertError('FST_GATEWAY_TARGET_CLOSED')
  waits.assertError('FST_GATEWAY_CONNECT_FAILED')
  await eventually(() => sessions.size === 0, 'a session stays')
  await closed.peers[0]?.end()
})

test('an attempt that is aborted while it waits is never sent', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) peer.send(headers(id, OK))
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  const { recorder, attempt } = dispatch(transport, address)
  attempt.abort()
  await exchange(transport, address)

  assert.deepEqual(recorder.calls, [])
  assert.equal(peers[0]?.frames.filter(({ type }) => type === HEADERS).length, 1)
})

test('all that wait for a target that refuses connections fail at once', async (t) => {
  const transport = startTransport(t)
  const address = targetAt(`http://127.0.0.1:${await freePort()}`)

  const recorders = await Promise.all([1, 2, 3].map(() => exchange(transport, address)))

  for (const recorder of recorders) {
    recorder.assertError('FST_GATEWAY_CONNECT_FAILED')
    assert.deepEqual([recorder.calls, recorder.ends], [['error'], 1])
  }
})

test('a target that accepts and does not send SETTINGS is not reached in time; who came later has time left', async (t) => {
  const { url, sockets } = await startRawTarget(t, (socket) => socket.on('data', () => {}))
  const transport = startTransport(t)
  const address = targetAt(url)
  const startedAt = performance.now()

  const first = dispatch(transport, address, { connectTimeout: 200 }).recorder
  await eventually(() => sockets.size === 1, 'no connection')
  const second = dispatch(transport, address, { connectTimeout: 600 }).recorder
  await first.over
  const took = performance.now() - startedAt
  const later = second.ends
  await second.over

  first.assertError('FST_GATEWAY_CONNECT_TIMEOUT')
  second.assertError('FST_GATEWAY_CONNECT_TIMEOUT')
  assert.ok(took >= 195 && took < 500)
  assert.equal(later, 0)
})

test('a target that speaks HTTP/1.1 only is not reached', async (t) => {
  const server = createServer((_request, response) => response.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const transport = startTransport(t)

  const recorder = await exchange(transport, targetAt(`http://127.0.0.1:${portOf(server)}`))

  recorder.assertError('FST_GATEWAY_CONNECT_FAILED')
  assert.ok(recorder.error?.cause instanceof Error)
})

test('streams that end in every way leave room for the next', async (t) => {
  const { url, opened } = await startHttp2Target(
    t,
    (stream, fields) => {
      const path = String(fields[':path'])
      if (path === '/reset') stream.close(CANCEL)
      else if (path === '/hang') stream.respond()
      else {
        stream.respond()
        stream.end('x'.repeat(100_000))
      }
    },
    { settings: { maxConcurrentStreams: 5 } }
  )
  const transport = startTransport(t)
  const address = targetAt(url)

  for (let round = 0; round < 5; round++) {
    const { recorder, attempt } = dispatch(transport, address, { path: '/hang' })
    const paused = dispatch(transport, address)
    paused.recorder.accepts = false
    await Promise.all([exchange(transport, address, { path: '/reset' }), exchange(transport, address)])
    await eventually(() => recorder.head !== undefined && paused.recorder.bytes > 0, 'no answer')
    attempt.abort()
    paused.attempt.abort()
  }

  assert.equal(opened(), 1)
})
