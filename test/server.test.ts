import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { always, eventually, RawClient, script, send } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'
import {
  CONTINUATION,
  connectFrames,
  END_HEADERS,
  END_STREAM,
  FramePeer,
  fieldBlock,
  frame,
  GOAWAY,
  HEADERS,
  headers,
  INTERNAL_ERROR,
  NO_ERROR,
  PREFACE,
  pseudo,
  rstStream,
  SETTINGS,
  settings
} from './http2-frames-helper.ts'
import { connectHttp2, sendHttp2 } from './http2-helper.ts'
import { startServer } from './server-helper.ts'

const EMPTY = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const TIMEOUTS = { headersTimeout: '50ms', keepAliveTimeout: '10s' }

test('one port serves HTTP/1.1 and HTTP/2 with prior knowledge', async (t) => {
  const { url } = await startTarget(t, (request, response) => response.end(String(request.headers.via)))
  const { port } = await startServer(t, [url])
  const session = connectHttp2(port)
  t.after(() => session.destroy())

  const [old, recent] = await Promise.all([send(port), sendHttp2(session, { ':path': '/' })])

  assert.equal(String(old.body), '1.1 fastify-gateway')
  assert.equal(String(recent.body), '2 fastify-gateway')
})

for (const [what, bytes, expected] of [
  ['a request of HTTP/1.1', GET, /^HTTP\/1\.1 200 OK\r\n/],
  [
    'a request whose method begins as the preface does',
    'PROPFIND / HTTP/1.1\r\nHost: a.test\r\n\r\n',
    /^HTTP\/1\.1 200 /
  ],
  ['two requests at once', GET + GET, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nHTTP\/1\.1 200 OK\r\n/s],
  ['a preface of HTTP/2', PREFACE + settings().toString('latin1'), /^\W{3}/]
] as const) {
  test(`${what} is understood byte by byte and in one piece`, async (t) => {
    const { url } = await startRawTarget(t, always(EMPTY).onSocket)
    const { port } = await startServer(t, [url])
    const piecemeal = new RawClient(t, port)
    piecemeal.socket.setNoDelay()
    const whole = new RawClient(t, port)

    whole.write(bytes)
    for (const byte of bytes) {
      piecemeal.write(byte)
      await turn()
    }
    await eventually(
      () => expected.test(whole.text) && expected.test(piecemeal.text),
      `${whole.text}|${piecemeal.text}`
    )

    assert.equal(whole.closed, 'no')
    assert.equal(piecemeal.closed, 'no')
  })
}

for (const [what, bytes] of [
  ['PRI of another version', 'PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n'],
  ['PRI with headers', 'PRI * HTTP/2.0\r\nHost: a.test\r\n\r\n'],
  ['a preface that is another from its last byte on', `${PREFACE.slice(0, -1)}X`]
] as const) {
  test(`${what} is a bad request of HTTP/1.1`, async (t) => {
    const { port } = await startServer(t, ['http://127.0.0.1:1'])
    const client = new RawClient(t, port)

    client.write(bytes)
    const answer = await client.end()

    assert.match(answer, /^HTTP\/1\.1 (400|501|505) /)
  })
}

test('without server.http2, a preface is refused as a version that is not spoken', async (t) => {
  const { port } = await startServer(t, ['http://127.0.0.1:1'], { server: { http2: false } })
  const client = new RawClient(t, port)

  client.write(PREFACE)

  assert.match(await client.end(), /^HTTP\/1\.1 505 /)
})

test('what is no frame after the preface ends the connection, and nothing else', async (t) => {
  const { url } = await startRawTarget(t, always(EMPTY).onSocket)
  const { port } = await startServer(t, [url])
  const client = new FramePeer(connect(port, '127.0.0.1'))
  client.send(Buffer.from(`${PREFACE}GET / HTTP/1.1\r\n\r\n`))

  await client.end()
  const { status } = await send(port)

  assert.equal(status, 200)
})

test('a client is told the limits of its connection', async (t) => {
  const { port } = await startServer(t, ['http://127.0.0.1:1'], { server: { maxHeaderSize: '8kb' } })
  const client = connectFrames(t, port)

  const { payload } = await client.frame(SETTINGS, 0)

  const values = new Map<number, number>()
  for (let i = 0; i < payload.length; i += 6) values.set(payload.readUInt16BE(i), payload.readUInt32BE(i + 2))
  assert.equal(values.get(3), 100, 'SETTINGS_MAX_CONCURRENT_STREAMS')
  assert.equal(values.get(4), 256 * 1024, 'SETTINGS_INITIAL_WINDOW_SIZE')
  assert.equal(values.get(6), 8 * 1024, 'SETTINGS_MAX_HEADER_LIST_SIZE')
  assert.equal(values.get(8), undefined, 'SETTINGS_ENABLE_CONNECT_PROTOCOL')
})

for (const [what, bytes] of [
  ['nothing', ''],
  ['half a request', 'GET / HT'],
  ['half a preface', PREFACE.slice(0, 12)]
] as const) {
  test(`a client that sends ${what} gets a 408 after headersTimeout`, async (t) => {
    const { port } = await startServer(t, ['http://127.0.0.1:1'], { server: TIMEOUTS })
    const start = performance.now()
    const client = new RawClient(t, port)

    client.write(bytes)
    const answer = await client.end()

    assert.match(answer, /^HTTP\/1\.1 408 /)
    assert.ok(performance.now() - start >= 50)
  })
}

test('a connection of HTTP/2 without a whole request is closed after headersTimeout', async (t) => {
  const { port } = await startServer(t, ['http://127.0.0.1:1'], { server: TIMEOUTS })
  const client = connectFrames(t, port)

  // All but the last byte of a head.
  client.send(headers(1, pseudo('GET', '/', 'a.test')).subarray(0, -1))
  const code = await client.goaway()
  await client.end()

  assert.equal(code, NO_ERROR)
})

test('a connection of HTTP/2 without requests is closed after keepAliveTimeout, one with a request is not', async (t) => {
  const { onSocket } = script((socket, head) => {
    if (head.includes('/slow')) answer = () => socket.write(EMPTY)
    else socket.write(EMPTY)
  })
  let answer = () => {}
  const { url } = await startRawTarget(t, onSocket)
  const { port } = await startServer(t, [url], { server: { keepAliveTimeout: '50ms' } })
  const idle = connectFrames(t, port)
  const busy = connectFrames(t, port)

  busy.send(headers(1, pseudo('GET', '/slow', 'a.test')))
  idle.send(headers(1, pseudo('GET', '/', 'a.test')))
  await idle.goaway()
  await idle.end()
  const closedEarly = busy.frames.some(({ type }) => type === GOAWAY)
  answer()
  const status = await busy.status(1)
  await busy.end()

  assert.equal(closedEarly, false)
  assert.equal(status, 200)
})

test('a client of HTTP/2 that never closes its end does not keep the connection', async (t) => {
  const { app, port } = await startServer(t, ['http://127.0.0.1:1'], { server: TIMEOUTS })
  const sockets: Socket[] = []
  app.server.on('connection', (socket) => sockets.push(socket))
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.after(() => socket.destroy())
  socket.write(PREFACE)
  socket.write(settings())
  socket.resume()
  await once(socket, 'end')

  await eventually(() => sockets.length === 1 && sockets[0]?.destroyed === true, 'the connection stays open')
})

test('a reader that takes nothing of what is answered does not keep the connection', async (t) => {
  const { port } = await startServer(t, ['http://127.0.0.1:1'], {
    server: { keepAliveTimeout: '50ms' },
    prepare: (app) => app.get('/own', async () => 'from the application')
  })
  const client = connectFrames(t, port, { 4: 0 })

  client.send(headers(1, pseudo('GET', '/own', 'a.test')))
  await client.status(1)
  await client.end()
})

test('a stream that is reset without an error is let go, also with data that it has not taken', async (t) => {
  let ended = false
  const { port } = await startServer(t, ['http://127.0.0.1:1'], {
    prepare(app) {
      app.get('/own', async () => 'from the application')
      app.addHook('onResponse', async () => {
        ended = true
      })
    }
  })
  const client = connectFrames(t, port, { 4: 0 })
  client.send(headers(1, pseudo('GET', '/own', 'a.test')))
  await client.status(1)

  client.send(rstStream(1, NO_ERROR))
  await eventually(() => ended, 'the response stays open')
})

test('requestTimeout bounds an upload over HTTP/2, and not the answer to a whole request', async (t) => {
  const { onSocket } = script((socket, head) => {
    if (head.includes('/begun')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart')
    if (head.includes('/whole')) answer = () => socket.write(EMPTY)
  })
  let answer = () => {}
  const { url } = await startRawTarget(t, onSocket)
  const { port, idle } = await startServer(t, [url], { server: { requestTimeout: '50ms' } })
  const client = connectFrames(t, port)

  client.send(headers(1, pseudo('GET', '/whole', 'a.test')))
  client.send(headers(3, pseudo('POST', '/begun', 'a.test'), END_HEADERS))
  client.send(headers(5, pseudo('POST', '/upload', 'a.test'), END_HEADERS))
  const [begun, upload] = await Promise.all([client.reset(3), client.reset(5)])
  answer()
  const statuses = await Promise.all([1, 3, 5].map((id) => client.status(id)))
  await idle()

  assert.deepEqual(statuses, [200, 200, 408])
  assert.deepEqual([begun, upload], [INTERNAL_ERROR, NO_ERROR])
})

test('an expectation of HTTP/2 is met when the body is wanted', async (t) => {
  const { url } = await startTarget(t, (request, response) => {
    request.resume().on('end', () => response.end('taken'))
  })
  const { port } = await startServer(t, [url])
  const session = connectHttp2(port)
  t.after(() => session.destroy())
  const stream = session.request({ ':method': 'POST', ':path': '/', expect: '100-continue' }, { endStream: false })
  await once(stream, 'continue')

  stream.end('body')
  const [head] = await once(stream, 'response')

  assert.equal(head[':status'], 200)
})

for (const [what, fields, status] of [
  ['another expectation', [['expect', 'magic']], 417],
  ['CONNECT', undefined, 405]
] as const) {
  test(`${what} over HTTP/2 is refused with ${status}`, async (t) => {
    const { port } = await startServer(t, ['http://127.0.0.1:1'])
    const client = connectFrames(t, port)

    client.send(
      headers(
        1,
        fields === undefined
          ? [
              [':method', 'CONNECT'],
              [':authority', 'a.test:80']
            ]
          : [...pseudo('GET', '/', 'a.test'), ...fields]
      )
    )

    assert.equal(await client.status(1), status)
  })
}

test('an upgrade passes, early bytes included', async (t) => {
  let received = ''
  const { url } = await startRawTarget(t, (socket) => {
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      if (received.endsWith('\r\n\r\n')) {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
      }
    })
  })
  const { port } = await startServer(t, [url])
  const client = new RawClient(t, port)

  client.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly')
  const answer = await client.until('\r\n\r\n')
  await eventually(() => received.endsWith('early'), received)

  assert.match(answer, /^HTTP\/1\.1 101 /)
})

test('an upgrade to h2c is ignored: HTTP/2 over TCP is for those who begin with it (RFC 9113, section 3.1)', async (t) => {
  const { heads, onSocket } = always(EMPTY)
  const { url } = await startRawTarget(t, onSocket)
  const { port } = await startServer(t, [url])
  const client = new RawClient(t, port)

  client.write(
    'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n'
  )
  const answer = await client.until('\r\n\r\n')

  assert.match(answer, /^HTTP\/1\.1 200 /)
  assert.doesNotMatch(heads[0] ?? '', /upgrade|http2-settings/i)
})

test('10,000 headers are forwarded whole where they fit, and refused where they do not', async (t) => {
  const { heads, onSocket } = always(EMPTY)
  const { url } = await startRawTarget(t, onSocket)
  const large = await startServer(t, [url], { server: { maxHeaderSize: '1mb' } })
  const usual = await startServer(t, [url])
  const fields = Array.from({ length: 10_000 }, (_, i) => [`x-${i}`, 'y'] as const)
  const request = `GET / HTTP/1.1\r\nHost: a.test\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  const recent = connectFrames(t, large.port)

  const [taken, refused] = [new RawClient(t, large.port), new RawClient(t, usual.port)]
  taken.write(request)
  refused.write(request)
  const accepted = await taken.until('\r\n\r\n')
  const tooLarge = await refused.end()
  recent.send(...pieces(1, fieldBlock([...pseudo('GET', '/', 'a.test'), ...fields])))
  const status = await recent.status(1)

  assert.match(accepted, /^HTTP\/1\.1 200 /)
  assert.match(tooLarge, /^HTTP\/1\.1 431 /)
  assert.equal(status, 200)
  assert.equal(heads.length, 2)
  for (const head of heads) assert.equal(head.match(/^x-\d+: y$/gm)?.length, 10_000)
})

/** A field block in as many frames as it takes (RFC 9113, section 6.10). */
function pieces(id: number, block: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at < block.length; at += 16_384) {
    const flags = (at === 0 ? END_STREAM : 0) | (at + 16_384 >= block.length ? END_HEADERS : 0)
    frames.push(frame(at === 0 ? HEADERS : CONTINUATION, flags, id, block.subarray(at, at + 16_384)))
  }
  return frames
}
