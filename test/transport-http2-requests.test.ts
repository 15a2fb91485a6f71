import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerHttp2Stream } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { TransportRequest } from '../plugins/proxy/transport/index.ts'
import { eventually } from './forwarding-helper.ts'
import {
  CANCEL,
  DATA,
  data,
  END_HEADERS,
  END_STREAM,
  type Field,
  HEADERS,
  headers,
  NO_ERROR,
  RST_STREAM,
  rstStream,
  windowUpdate
} from './http2-frames-helper.ts'
import {
  ChunkedBody,
  dispatch,
  exchange,
  type SeenFields,
  startFrameTarget,
  startHttp2Target,
  startTransport,
  targetAt
} from './http2-transport-helper.ts'

const OK: Field[] = [[':status', '200']]

interface Seen {
  /** Flat names and values as they came. */
  raw: string[]
  fields: SeenFields
  body: string
  trailers: string[]
}

/** A target that writes down its requests and answers each with 200. */
async function startSeeing(t: TestContext): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const { url } = await startHttp2Target(t, (stream: ServerHttp2Stream, fields, raw) => {
    const one: Seen = { raw, fields, body: '', trailers: [] }
    stream.setEncoding('latin1')
    stream.on('data', (text: string) => {
      one.body += text
    })
    stream.on('trailers', (_fields: object, _flags: number, trailers: string[]) => {
      one.trailers = trailers
    })
    stream.on('end', () => {
      seen.push(one)
      stream.respond()
      stream.end()
    })
  })
  return { url, seen }
}

/** Sends one request, and resolves with what the target saw of it. */
async function see(t: TestContext, parts: Partial<Omit<TransportRequest, 'target'>>): Promise<Seen> {
  const { url, seen } = await startSeeing(t)
  const recorder = await exchange(startTransport(t), targetAt(url), parts)
  assert.equal(recorder.error, undefined)
  const [one] = seen
  assert.ok(one !== undefined)
  return one
}

test('method, scheme, authority and path lead; the authority is the Host, which is not sent beside it', async (t) => {
  const { raw } = await see(t, { method: 'PATCH', path: '/a%20b?c', headers: ['Host', 'gw.test:81', 'X-A', '1'] })

  assert.deepEqual(raw, [
    ...[':method', 'PATCH', ':scheme', 'http', ':authority', 'gw.test:81', ':path', '/a%20b?c'],
    ...['x-a', '1']
  ])
})

test('OPTIONS * asks for *', async (t) => {
  const { fields } = await see(t, { method: 'OPTIONS', path: '*' })

  assert.equal(fields[':path'], '*')
})

test('fields of the connection are not sent, and `te` only as trailers', async (t) => {
  const { raw } = await see(t, {
    headers: [
      ...['host', 'a', 'Connection', 'x', 'Keep-Alive', 'timeout=5', 'Proxy-Connection', 'y', 'Upgrade', 'h2c'],
      ...['HTTP2-Settings', 'z', 'Transfer-Encoding', 'chunked', 'Content-Length', '9', 'te', 'gzip', 'te', 'trailers']
    ]
  })

  assert.deepEqual(raw.slice(8), ['te', 'trailers'])
})

test('names that occur again keep their values in order; those of which there can be one are joined', async (t) => {
  const { raw } = await see(t, {
    headers: [
      ...['host', 'a', 'X-A', '1', 'Accept', 'b', 'x-a', '2', 'If-Match', '"c"', 'X-A', '3', 'if-match', '"d"'],
      ...['Cookie', 'e=1', 'cookie', 'f=2', 'User-Agent', 'g', 'user-agent', 'h']
    ]
  })

  assert.deepEqual(raw.slice(8), [
    ...['x-a', '1', 'x-a', '2', 'x-a', '3', 'accept', 'b', 'if-match', '"c", "d"', 'cookie', 'e=1; f=2'],
    ...['user-agent', 'g, h']
  ])
})

test('bytes beyond ASCII, empty values and names with a meaning in JavaScript arrive as they are', async (t) => {
  const { raw } = await see(t, {
    headers: ['host', 'a', 'x-a', '\xe4\xff', 'x-b', '', '__proto__', 'c', 'constructor', 'd', 'toString', 'e']
  })

  assert.deepEqual(raw.slice(8), ['x-a', '\xe4\xff', 'x-b', '', '__proto__', 'c', 'constructor', 'd', 'tostring', 'e'])
})

for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
  test(`${method} without a body ends with its fields`, async (t) => {
    const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
      if (type === HEADERS) peer.send(headers(id, OK))
    })

    const recorder = await exchange(startTransport(t), targetAt(url), { method })

    assert.deepEqual(recorder.calls, ['sent', 'request end', 'head', 'end'])
    assert.equal((await peers[0]?.frame(HEADERS))?.flags, END_HEADERS | END_STREAM)
  })

  test(`${method} with a body sends its length and its bytes`, async (t) => {
    const { fields, body } = await see(t, { method, body: new ChunkedBody(['ab', '', 'c']) })

    assert.deepEqual([fields[':method'], fields['content-length'], body], [method, '3', 'abc'])
  })
}

test('an empty body is announced as such, and ends with the fields', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) peer.send(headers(id, OK))
  })
  const body = new ChunkedBody([])

  const recorder = await exchange(startTransport(t), targetAt(url), { method: 'POST', body })

  assert.deepEqual(recorder.calls, ['sent', 'request end', 'head', 'end'])
  const { flags, payload } = (await peers[0]?.frame(HEADERS)) ?? {}
  assert.equal(flags, END_HEADERS | END_STREAM)
  // The name content-length by its number in the static table, and the value 0.
  assert.ok(payload?.includes(Buffer.of(0x0f, 0x0d)) || payload?.includes(Buffer.of(0x5c)))
})

test('a body of unknown length has no content-length, and may have trailers', async (t) => {
  const body = new ChunkedBody(['ab', 'c'], -1, ['X-T', '1', 'connection', 'x', 'x-t', '2'])
  const seen = await see(t, { method: 'POST', body })

  assert.equal(seen.fields['content-length'], undefined)
  assert.equal(seen.body, 'abc')
  assert.deepEqual(seen.trailers, ['x-t', '1', 'x-t', '2'])
})

test('a body of known length may have trailers, too', async (t) => {
  const { body, trailers } = await see(t, { method: 'POST', body: new ChunkedBody(['ab'], 2, ['x-t', '1']) })

  assert.deepEqual([body, trailers], ['ab', ['x-t', '1']])
})

test('a target on a unix socket is asked with prior knowledge', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const { url } = await startHttp2Target(
    t,
    (stream, fields) => {
      stream.respond()
      stream.end(fields[':scheme'])
    },
    { path: join(folder, 'target.sock') }
  )

  assert.equal((await exchange(startTransport(t), targetAt(url))).body, 'http')
})

test('a body waits for a target that does not take it, and moves on when it does', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id, flags }) => {
    if (type === DATA && (flags & END_STREAM) !== 0) peer.send(headers(id, OK))
  })
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const body = new ChunkedBody(Array.from({ length: 64 }, () => chunk))

  const { recorder } = dispatch(startTransport(t), targetAt(url), { method: 'POST', body })
  const received = () =>
    peers[0]?.frames.reduce((sum, { type, payload }) => sum + (type === DATA ? payload.length : 0), 0)
  // What a target takes without having said anything (RFC 9113, section 6.9.2).
  await eventually(() => received() === 65_535, 'the window is not used')
  const given = body.given
  peers[0]?.send(windowUpdate(0, 2 ** 30), windowUpdate(1, 2 ** 30))
  await recorder.over

  assert.ok(given <= 3, `${given} chunks were taken`)
  assert.equal(recorder.head?.status, 200)
  assert.equal(received(), 64 * chunk.length)
  assert.deepEqual(recorder.calls.slice(0, 3), ['sent', 'progress', 'request end'])
})

test('an attempt that is aborted resets its stream, without anything that looks like the end of the body', async (t) => {
  const { url, peers } = await startFrameTarget(t, () => {})
  const body = new ChunkedBody(['ab', Buffer.alloc(100_000)], -1)

  const { recorder, attempt } = dispatch(startTransport(t), targetAt(url), { method: 'POST', body })
  await eventually(() => peers[0]?.frames.some(({ type }) => type === DATA) === true, 'no body')
  const abortedAt = performance.now()
  attempt.abort()
  const code = await peers[0]?.reset(1)
  const took = performance.now() - abortedAt

  assert.equal(code, CANCEL)
  assert.ok(took < 100, `${took} ms`)
  assert.ok(peers[0]?.frames.every(({ type, flags }) => type !== DATA || (flags & END_STREAM) === 0))
  assert.equal(recorder.ends, 0)
  assert.equal(body.stopped, 1)
})

test('an attempt that is aborted before its body has begun ends in nothing but a reset', async (t) => {
  const { url, peers } = await startFrameTarget(t, () => {})

  // Its body never has anything to give.
  const body = { length: -1, start() {}, resume() {}, stop() {} }
  const { attempt } = dispatch(startTransport(t), targetAt(url), { method: 'POST', body })
  await eventually(() => peers[0]?.frames.some(({ type }) => type === HEADERS) === true, 'no request')
  attempt.abort()
  await peers[0]?.reset(1)

  assert.deepEqual(
    peers[0]?.frames.filter(({ id }) => id === 1).map(({ type }) => type),
    [HEADERS, RST_STREAM]
  )
})

const early: [string, (id: number) => readonly Buffer[]][] = [
  ['and says so with NO_ERROR', (id) => [headers(id, [[':status', '413']]), rstStream(id, NO_ERROR)]],
  ['and says nothing more', (id) => [headers(id, [[':status', '413']])]],
  [
    'with a body, and says so with NO_ERROR',
    (id) => [headers(id, [[':status', '413']], END_HEADERS), data(id, 'big', END_STREAM), rstStream(id, NO_ERROR)]
  ]
]

for (const [how, answer] of early) {
  test(`a target that has answered does not need the rest of the body ${how}`, async (t) => {
    const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
      if (type === HEADERS) peer.send(...answer(id))
    })
    const body = new ChunkedBody(Array.from({ length: 100 }, () => Buffer.alloc(64 * 1024)))
    const transport = startTransport(t)
    const address = targetAt(url)

    const recorder = await exchange(transport, address, { method: 'POST', body })
    const given = body.given
    // The session is of use still.
    const next = await exchange(transport, address)

    assert.deepEqual([recorder.head?.status, recorder.error, recorder.ends], [413, undefined, 1])
    assert.ok(given < 10)
    assert.equal(body.given, given)
    assert.equal(next.head?.status, 413)
    assert.equal(peers.length, 1)
    assert.ok(peers[0]?.frames.every(({ type, flags }) => type !== DATA || (flags & END_STREAM) === 0))
  })
}

test('a body that is expected to be asked for waits for the 100', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id, flags }) => {
    if (type === DATA && (flags & END_STREAM) !== 0) peer.send(headers(id, OK))
  })
  const body = new ChunkedBody(['ab'])

  const { recorder } = dispatch(startTransport(t), targetAt(url), { method: 'POST', body, expectContinue: true })
  await eventually(() => peers[0]?.frames.some(({ type }) => type === HEADERS) === true, 'no request')
  const before = [...recorder.calls]
  peers[0]?.send(headers(1, [[':status', '100']], END_HEADERS))
  await recorder.over

  assert.deepEqual(before, ['sent'])
  assert.deepEqual(recorder.calls, ['sent', 'progress', 'request end', 'information', 'head', 'end'])
  assert.deepEqual(recorder.informations, [[100, []]])
  assert.equal(await peers[0]?.body(1), 'ab')
})

test('a body whose request was refused is not sent', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) peer.send(headers(id, [[':status', '417']]))
  })
  const body = new ChunkedBody(['ab'])

  const parts = { method: 'POST', body, expectContinue: true }
  const recorder = await exchange(startTransport(t), targetAt(url), parts)
  const code = await peers[0]?.reset(1)

  assert.equal(recorder.head?.status, 417)
  assert.equal(code, CANCEL)
  assert.equal(body.given, 0)
})

test('a body is sent after a second, since not all targets ask for it', async (t) => {
  const { fields, body } = await see(t, { method: 'POST', body: new ChunkedBody(['ab']), expectContinue: true })

  assert.deepEqual([fields.expect, body], ['100-continue', 'ab'])
})
