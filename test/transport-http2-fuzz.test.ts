import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TransportAttempt } from '../plugins/proxy/transport/index.ts'
import { eventually } from './forwarding-helper.ts'
import {
  CANCEL,
  data,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  type Field,
  type FramePeer,
  goaway,
  HEADERS,
  headers,
  INTERNAL_ERROR,
  NO_ERROR,
  REFUSED_STREAM,
  rstStream,
  windowUpdate
} from './http2-frames-helper.ts'
import {
  ChunkedBody,
  dispatch,
  exchange,
  type Recorder,
  startFrameTarget,
  startTransport,
  targetAt
} from './http2-transport-helper.ts'
import { seededRandom } from './route-helper.ts'

const REQUESTS = 600
const AT_ONCE = 40
const CODES = [NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM]
const OK: Field[] = [[':status', '200']]

type Random = (below: number) => number

/** Some of what a target may do with a stream: most answers end in order, the others in any way. */
function answer(id: number, random: Random): Buffer[] {
  const sizes = Array.from({ length: random(4) }, () => random(2_000))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const reset = () => rstStream(id, CODES[random(CODES.length)] ?? 0)
  const frames: Buffer[] = []
  if (random(5) === 0) frames.push(headers(id, [[':status', '103']], END_HEADERS))
  if (random(8) === 0) frames.push(reset())
  frames.push(headers(id, [...OK, ['x-bytes', String(total)]], END_HEADERS))
  for (const size of sizes) frames.push(data(id, 'x'.repeat(size)))
  if (random(6) === 0) frames.push(reset())
  else frames.push(random(2) === 0 ? data(id, '', END_STREAM) : headers(id, [['x-t', '1']]))
  if (random(3) === 0) frames.push(rstStream(id, NO_ERROR))
  return frames
}

/** Sends an answer, all at once or in pieces, or ends the connection in one of several ways. */
function play(peer: FramePeer, id: number, random: Random): void {
  const fate = random(300)
  if (fate === 0) peer.socket.destroy()
  else if (fate === 1) peer.send(goaway(Math.max(id - 2 * random(5), 1) | 1, NO_ERROR))
  else if (fate === 2) peer.send(goaway(id, ENHANCE_YOUR_CALM))
  if (fate === 3) return
  const frames = answer(id, random)
  if (random(3) > 0) {
    peer.send(windowUpdate(0, 100_000), ...frames)
    return
  }
  const next = () => {
    const frame = frames.shift()
    if (frame === undefined || peer.socket.destroyed) return
    peer.send(frame)
    setImmediate(next)
  }
  next()
}

for (const seed of [1, 2, 3]) {
  test(`whatever a target does and whoever gives up when, each attempt ends once or not at all (${seed})`, async (t) => {
    const draw = seededRandom(seed)
    const random: Random = (below) => Math.floor(draw() * below)
    const { url } = await startFrameTarget(t, (peer, { type, id }) => {
      if (type === HEADERS && (id & 1) === 1) play(peer, id, random)
    })
    const transport = startTransport(t)
    const address = targetAt(url)
    const underWay = new Map<Recorder, TransportAttempt>()
    const all: { recorder: Recorder; aborted: number }[] = []
    const abort = (recorder: Recorder) => {
      const record = all.find((one) => one.recorder === recorder)
      if (record === undefined || recorder.ends > 0) return
      underWay.get(recorder)?.abort()
      underWay.delete(recorder)
      record.aborted = recorder.calls.length
    }

    while (all.length < REQUESTS || underWay.size > 0) {
      while (all.length < REQUESTS && underWay.size < AT_ONCE) {
        const body =
          random(2) === 0
            ? new ChunkedBody(['a', 'x'.repeat(random(50_000))], random(2) === 0 ? -1 : undefined)
            : undefined
        const { recorder, attempt } = dispatch(transport, address, {
          method: body === undefined ? 'GET' : 'POST',
          body
        })
        underWay.set(recorder, attempt)
        all.push({ recorder, aborted: -1 })
        // Within its own calls and those of others, and out of the blue.
        recorder.within = (call) => {
          if (call === 'end' || call === 'error') return
          if (random(40) === 0) abort(recorder)
          if (random(80) === 0) abort([...underWay.keys()][random(underWay.size)] ?? recorder)
          if (call === 'data' && random(10) === 0) {
            recorder.accepts = false
            setImmediate(() => {
              recorder.accepts = true
              attempt.resume()
            })
          }
        }
        recorder.over.then(() => underWay.delete(recorder))
        if (random(20) === 0) setTimeout(() => abort(recorder), random(10))
        // Whoever gets no answer gives up.
        setTimeout(() => abort(recorder), 500).unref()
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually(() => all.every(({ recorder, aborted }) => recorder.ends === 1 || aborted >= 0), 'no end')
    const last = await exchange(transport, address)

    for (const { recorder, aborted } of all) {
      assert.equal(recorder.ends, aborted >= 0 ? 0 : 1)
      if (aborted >= 0) assert.equal(recorder.calls.length, aborted)
    }
    const complete = all.filter(({ recorder }) => recorder.trailers !== undefined)
    for (const { recorder } of complete) assert.equal(String(recorder.bytes), recorder.head?.headers[1])
    assert.ok(complete.length > REQUESTS / 5)
    assert.ok(all.filter(({ recorder }) => recorder.error !== undefined).length > REQUESTS / 20)
    assert.equal(last.ends, 1)
  })
}
