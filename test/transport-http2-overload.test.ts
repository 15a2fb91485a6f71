import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { assertError, eventually, send, startGateway } from './forwarding-helper.ts'
import {
  data,
  END_HEADERS,
  ENHANCE_YOUR_CALM,
  type Field,
  type FramePeer,
  HEADERS,
  headers,
  MAX_CONCURRENT_STREAMS,
  rstStream
} from './http2-frames-helper.ts'
import { connectHttp2, type Http2Reply, sendHttp2, startHttp2Gateway } from './http2-helper.ts'
import {
  dispatch,
  startClock,
  startFrameTarget,
  startHttp2Target,
  startTransport,
  targetAt
} from './http2-transport-helper.ts'

const OK: Field[] = [[':status', '200']]
const HTTP2 = { http2: true }

/** A target that turns away each stream beyond so many that are open on a session; the others stay open. */
async function startBusyTarget(t: TestContext, limit: number, values: Readonly<Record<number, number>> = {}) {
  const open = new Map<FramePeer, number[]>()
  let turnedAway = 0
  const { url } = await startFrameTarget(
    t,
    (peer, { type, id }) => {
      if (type !== HEADERS) return
      const ids = open.get(peer) ?? []
      open.set(peer, ids)
      if (ids.length < limit) ids.push(id)
      else {
        turnedAway++
        peer.send(rstStream(id, ENHANCE_YOUR_CALM))
      }
    },
    values
  )
  return {
    url,
    counts: () => [...open.values()].map(({ length }) => length),
    turnedAway: () => turnedAway,
    answer() {
      for (const [peer, ids] of open) peer.send(...ids.splice(0).map((id) => headers(id, OK)))
    }
  }
}

test('a target of Node.js that cannot hold many large responses on a session gives each of them', async (t) => {
  const body = Buffer.alloc(100 * 1024, 'x')
  // Counts what it has still to write; a direct client with all streams on one session loses nine of ten responses.
  const { url, opened } = await startHttp2Target(
    t,
    (stream) => {
      stream.respond({ 'content-length': body.length })
      stream.end(body)
    },
    { maxSessionMemory: 1 }
  )
  // A machine that is busy may take its time to open sessions.
  const gateway = await startHttp2Gateway(t, [url], { upstream: { ...HTTP2, timeouts: { connect: 0 } } })
  const clients = [1, 2, 3].map(() => gateway.connect())

  const replies = await Promise.all(clients.flatMap((client) => times(50, () => sendHttp2(client, { ':path': '/' }))))

  assert.deepEqual(replies.filter((reply) => reply.status !== 200 || reply.body.length !== body.length).map(brief), [])
  assert.ok(opened() > 3, `${opened()} sessions`)
  await gateway.idle()
})

test('the same target loses the same requests of a client that speaks to it directly', async (t) => {
  const body = Buffer.alloc(100 * 1024, 'x')
  const { server } = await startHttp2Target(t, (stream) => stream.end(body), { maxSessionMemory: 1 })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const client = connectHttp2(address.port)
  t.after(() => client.destroy())

  const replies = await Promise.all(times(100, () => sendHttp2(client, { ':path': '/' })))

  assert.ok(replies.filter(({ code }) => code === ENHANCE_YOUR_CALM).length > 50)
})

test('where a target names no limit, a session has 100 streams at once', async (t) => {
  const target = await startBusyTarget(t, 1_000)
  const transport = startTransport(t)
  const address = targetAt(target.url)

  const recorders = times(250, () => dispatch(transport, address).recorder)
  await eventually(() => sum(target.counts()) === 250, 'not all under way at once')
  const counts = target.counts()
  target.answer()
  for (const recorder of recorders) assert.equal((await recorder.over).head?.status, 200)

  assert.deepEqual(counts, [100, 100, 50])
})

test('a limit above 100 that a target names is used', async (t) => {
  const target = await startBusyTarget(t, 1_000, { [MAX_CONCURRENT_STREAMS]: 150 })
  const transport = startTransport(t)
  const address = targetAt(target.url)

  times(200, () => dispatch(transport, address))
  await eventually(() => sum(target.counts()) === 200, 'not all under way at once')

  assert.deepEqual(target.counts(), [150, 50])
})

test('what a session was too much for bounds all sessions, and less so as time passes in calm', async (t) => {
  const target = await startBusyTarget(t, 10)
  const clock = startClock(t)
  const transport = startTransport(t, { now: clock.now })
  const address = targetAt(target.url)

  const first = times(30, () => dispatch(transport, address).recorder)
  await eventually(() => target.turnedAway() === 20, 'not turned away')
  for (const { over } of first.slice(10)) assert.equal('overloaded' in ((await over).error ?? {}), true)
  const second = times(20, () => dispatch(transport, address).recorder)
  await eventually(() => sum(target.counts()) === 30, 'not all under way at once')

  const atOnce = target.counts()
  target.answer()
  for (const { over } of [...first.slice(0, 10), ...second]) assert.equal((await over).head?.status, 200)
  clock.pass(9_000)
  const third = times(11, () => dispatch(transport, address).recorder)
  await eventually(() => sum(target.counts()) === 11, 'not all under way at once')
  const later = target.counts()
  target.answer()
  for (const { over } of third) assert.equal((await over).head?.status, 200)

  assert.deepEqual(atOnce, [10, 10, 10])
  assert.deepEqual(later, [10, 1, 0])
  assert.equal(target.turnedAway(), 20)

  clock.pass(1_000)
  times(11, () => dispatch(transport, address))
  await eventually(() => target.turnedAway() === 21, 'the limit is not tried anew')
})

test('requests that a target turns away for their own sake do not narrow sessions below four streams', async (t) => {
  const target = await startBusyTarget(t, 0)
  const transport = startTransport(t)
  const address = targetAt(target.url)

  for (let i = 0; i < 5; i++) await dispatch(transport, address).recorder.over
  const before = target.turnedAway()
  times(4, () => dispatch(transport, address))
  await eventually(() => target.turnedAway() === before + 4, 'not under way')

  assert.equal(target.counts().length, 1)
})

for (const [method, seen] of [
  ['GET', 2],
  ['PUT', 2],
  ['POST', 1]
] as const) {
  test(`${method} that is turned away without an end is sent ${seen === 1 ? 'once' : 'twice'}`, async (t) => {
    const target = await startBusyTarget(t, 0)
    const gateway = await startGateway(t, [target.url], { upstream: HTTP2 })

    const reply = await send(gateway.port, { method }, method === 'GET' ? '' : 'body')

    assertError(reply, 502, 'FST_GATEWAY_TARGET_CLOSED')
    assert.equal(target.turnedAway(), seen)
    await gateway.idle()
  })
}

test('a response that ENHANCE_YOUR_CALM interrupts is cut, and not asked for again', async (t) => {
  let requests = 0
  const { url } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type !== HEADERS) return
    requests++
    peer.send(headers(id, OK, END_HEADERS), data(id, 'half'), rstStream(id, ENHANCE_YOUR_CALM))
  })
  const gateway = await startGateway(t, [url], { upstream: HTTP2 })

  const reply = await send(gateway.port).catch(() => undefined)

  assert.notEqual(reply?.complete, true)
  assert.equal(requests, 1)
  await gateway.idle()
})

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function brief({ status, code, body }: Http2Reply): string {
  return `status ${status}, code ${code}, ${body.length} bytes`
}
