import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { eventually } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import {
  CONTINUATION,
  connectFrames,
  data,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  errorCode,
  type FramePeer,
  fieldBlock,
  frame,
  GOAWAY,
  HEADERS,
  headers,
  INITIAL_WINDOW_SIZE,
  PING,
  PRIORITY,
  pseudo,
  rstStream,
  SETTINGS,
  settings,
  windowUpdate
} from './http2-frames-helper.ts'
import { startServer } from './server-helper.ts'

/** Frames that a client sends again and again, from the first, 0, on. */
interface Flood {
  what: string
  source: string
  frames: (i: number) => Buffer[]
  /** Bytes after which the connection must be over; undefined: it is harmless, and goes on. */
  within?: number
}

const id = (i: number) => 2 * i + 1
const get = (i: number, path = '/slow') => headers(id(i), pseudo('GET', path, 'a.test'))
const post = (i: number) => headers(id(i), pseudo('POST', '/slow', 'a.test'), END_HEADERS)
const once = (first: Buffer, others: Buffer) => (i: number) => [i === 0 ? first : others]
const begun = frame(HEADERS, 0, 1, fieldBlock(pseudo('GET', '/slow', 'a.test')))

const floods: readonly Flood[] = [
  {
    what: 'requests that are reset at once',
    source: 'CVE-2023-44487',
    frames: (i) => [get(i), rstStream(id(i), 8)],
    within: 40_000
  },
  {
    what: 'requests that are reset without an error',
    source: 'CVE-2023-44487',
    frames: (i) => [get(i), rstStream(id(i), 0)],
    within: 40_000
  },
  {
    what: 'requests that the server has to reset: window',
    source: 'CVE-2025-8671',
    frames: (i) => [post(i), windowUpdate(id(i), 0x7fffffff)],
    within: 40_000
  },
  {
    what: 'requests that the server has to reset: DATA behind the end',
    source: 'CVE-2025-8671',
    frames: (i) => [get(i), data(id(i), 'x')],
    within: 40_000
  },
  {
    what: 'requests that the server has to reset: length',
    source: 'CVE-2025-8671',
    frames: (i) => [
      headers(id(i), [...pseudo('POST', '/slow', 'a.test'), ['content-length', '1']], END_HEADERS),
      data(id(i), 'xy')
    ],
    within: 60_000
  },
  {
    what: 'malformed requests',
    source: 'RFC 9113 8.1.1',
    frames: (i) => [headers(id(i), [...pseudo('GET', '/', 'a.test'), ['connection', 'x']])],
    within: 200_000
  },
  {
    what: 'a head without an end',
    source: 'CVE-2024-27316',
    frames: once(begun, frame(CONTINUATION, 0, 1, fieldBlock([['x-odd', 'y'.repeat(1_000)]]))),
    within: 250_000
  },
  {
    what: 'a head without an end, of empty frames',
    source: 'CVE-2024-27316',
    frames: once(begun, frame(CONTINUATION, 0, 1)),
    within: 60_000
  },
  { what: 'SETTINGS', source: 'CVE-2019-9515', frames: () => [settings({ 3: 100 })] },
  {
    what: 'SETTINGS faster than they can be answered',
    source: 'CVE-2019-9515',
    frames: () => Array(50).fill(settings({ 3: 100 })),
    within: 300_000
  },
  {
    what: 'PING faster than it can be answered',
    source: 'CVE-2019-9512',
    frames: () => Array(50).fill(frame(PING, 0, 0, '12345678')),
    within: 300_000
  },
  { what: 'empty DATA', source: 'CVE-2019-9518', frames: once(post(0), data(1, '')), within: 100_000 },
  { what: 'streams beyond the limit', source: 'RFC 9113 5.1.2', frames: (i) => [post(i)], within: 60_000 },
  { what: 'WINDOW_UPDATE of 1', source: 'RFC 9113 10.5', frames: () => [windowUpdate(0, 1)] },
  {
    what: 'DATA of one byte',
    source: 'RFC 9113 10.5',
    frames: once(headers(1, pseudo('POST', '/', 'a.test'), END_HEADERS), data(1, 'x'))
  },
  {
    what: 'new priorities',
    source: 'CVE-2019-9513',
    frames: (i) => [frame(PRIORITY, 0, id(1 + (i % 500)), '\0\0\0\x01\x10')].slice(0, i < 2_000 ? 1 : 0)
  },
  {
    what: 'heads larger than the limit',
    source: 'RFC 9113 10.5.1',
    frames: (i) => largeHead(id(i)).slice(0, i < 200 ? 2 : 0)
  },
  {
    what: 'small heads that unfold to large ones',
    source: 'RFC 7541 7.3; HPACK bomb',
    frames: (i) => [bomb(id(i))].slice(0, i < 200 ? 1 : 0)
  }
]

function largeHead(stream: number): Buffer[] {
  const fields = fieldBlock(Array.from({ length: 13 }, (_, i) => [`x-${i}`, 'y'.repeat(1_200)]))
  const block = Buffer.concat([fieldBlock(pseudo('GET', '/slow', 'a.test')), fields])
  return [frame(HEADERS, END_STREAM, stream, block), frame(CONTINUATION, END_HEADERS, stream, fields)]
}

/** A field of 3.9 KiB goes into the table, and is referred to 12,000 times, a byte each. */
function bomb(stream: number): Buffer {
  const [, name, ...value] = fieldBlock([['x', 'y'.repeat(3_900)]])
  const entry = Buffer.from([0x40, name ?? 0, ...value])
  const block = [fieldBlock(pseudo('GET', '/slow', 'a.test')), entry, Buffer.alloc(12_000, 0xbe)]
  return frame(HEADERS, END_HEADERS | END_STREAM, stream, Buffer.concat(block))
}

/** A gateway before a target that leaves `/slow` unanswered; how many requests it got, and the latest connection. */
async function stage(t: TestContext, timeout = '10s') {
  const seen = { requests: 0, socket: undefined as Socket | undefined }
  const { url } = await startTarget(t, (request, response) => {
    seen.requests++
    request.resume()
    if (request.url === '/large') response.end(Buffer.alloc(1024 * 1024))
    else if (request.url !== '/slow') request.on('end', () => response.end('here'))
  })
  const server = { headersTimeout: timeout, keepAliveTimeout: timeout }
  const gateway = await startServer(t, [url], { server, upstream: { timeouts: { idle: '150ms', response: timeout } } })
  gateway.app.server.on('connection', (socket: Socket) => {
    seen.socket = socket
  })
  return { ...gateway, seen }
}

async function assertAlive(t: TestContext, port: number): Promise<void> {
  const client = connectFrames(t, port)
  let body = ''
  // The target runs in this process, too, and may need longer than the timeout while there is much to clear away.
  for (let i = 0; i < 20 && body !== 'here'; i++) {
    client.send(get(i, '/'))
    body = await client.body(id(i))
    if (body !== 'here') assert.match(body, /FST_GATEWAY_RESPONSE_TIMEOUT/)
  }
  assert.equal(body, 'here')
}

async function pour(client: FramePeer, { frames, within }: Flood, socket: Socket | undefined): Promise<void> {
  const most = within === undefined ? 3_000 : 20_000
  for (let i = 0; i < most && socket?.destroyed === false; i += 100) {
    client.send(...Array.from({ length: 100 }, (_, k) => frames(i + k)).flat())
    await turn()
  }
}

for (const flood of floods) {
  const { what, source, within } = flood
  test(`a flood of ${what} ${within === undefined ? 'is borne' : 'ends the connection'} [${source}]`, async (t) => {
    // Node.js 20 leaves some connections open behind its GOAWAY; the timeouts of the server close them.
    const { port, idle, seen } = await stage(t, within === undefined ? '10s' : '150ms')
    const client = connectFrames(t, port)
    await client.frame(SETTINGS, 0)
    const { socket } = seen

    await pour(client, flood, socket)
    if (within === undefined) {
      client.send(headers(100_001, pseudo('GET', '/', 'a.test')))
      assert.equal(await client.status(100_001), 200)
    } else {
      await eventually(() => socket?.destroyed === true, 'the connection stays open')
      assert.ok((socket?.bytesRead ?? 0) <= within, `${socket?.bytesRead} bytes were read`)
    }

    assert.ok(seen.requests <= 220, `${seen.requests} requests reached the target`)
    client.socket.destroy()
    await assertAlive(t, port)
    await idle()
  })
}

test('resets that are spread over time reach their bound, too, and are named as the reason', async (t) => {
  const { port, seen } = await stage(t)
  const client = connectFrames(t, port)

  for (let i = 0; i < 1_000 && client.closed === 'no'; i++) {
    client.send(get(i))
    await eventually(() => seen.requests > i || client.closed !== 'no', 'the request does not arrive')
    client.send(rstStream(id(i), 8))
  }

  assert.equal(errorCode(await client.frame(GOAWAY)), ENHANCE_YOUR_CALM)
  assert.ok(seen.requests >= 200 && seen.requests < 300, `${seen.requests} requests reached the target`)
})

test('requests that are answered pay for resets', async (t) => {
  const { port } = await stage(t)
  const client = connectFrames(t, port)

  for (let i = 0; i < 500; i += 2) {
    client.send(get(i), rstStream(id(i), 8), get(i + 1, '/'))
    await client.body(id(i + 1))
  }

  assert.equal(client.closed, 'no')
})

test('readers without a window hold no more than is buffered, until timeouts.idle', async (t) => {
  const { port, idle, seen } = await stage(t)
  const client = connectFrames(t, port, { [INITIAL_WINDOW_SIZE]: 0 })

  client.send(...Array.from({ length: 100 }, (_, i) => get(i, '/large')))
  const codes = await Promise.all(Array.from({ length: 100 }, (_, i) => client.reset(id(i))))
  await idle()
  const written = seen.socket?.bytesWritten ?? 0
  await assertAlive(t, port)

  assert.ok(codes.every((code) => code !== 0))
  assert.ok(written < 100_000, `${written} bytes were written`)
})
