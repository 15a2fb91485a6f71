import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants } from 'node:http2'
import type { Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import type { FastifyReply } from 'fastify'
import type { Layer } from '../plugins/middleware/index.ts'
import { always, eventually, script } from './forwarding-helper.ts'
import { freePort, startRawTarget, startTarget } from './helper.ts'
import {
  CANCEL,
  connectFrames,
  DATA,
  data,
  END_HEADERS,
  END_STREAM,
  HEADERS,
  headers,
  INITIAL_WINDOW_SIZE,
  NO_ERROR,
  pseudo,
  RST_STREAM,
  rstStream
} from './http2-frames-helper.ts'
import { type Http2Sketch, plain, readReply, sendHttp2, startHttp2Gateway } from './http2-helper.ts'

const { NGHTTP2_INTERNAL_ERROR } = constants

/** The ways a response can take to its client. */
const WAYS: readonly [name: string, sketch: Http2Sketch][] = [
  ['straight', {}],
  ['past an onSend hook', { onSend: (payload) => payload }],
  ['past a layer', { layers: [{ name: 'watch', onSend: () => {} }] }]
]

/** A gateway before a target that answers everything with these bytes. */
async function answering(t: TestContext, bytes: string, sketch: Http2Sketch = {}) {
  const target = await startRawTarget(t, always(bytes).onSocket)
  return startHttp2Gateway(t, [target.url], sketch)
}

for (const [way, sketch] of WAYS) {
  test(`${way}: status, headers and body arrive, without what was meant for the target's connection`, async (t) => {
    const gateway = await answering(
      t,
      'HTTP/1.1 418 Very Odd\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nProxy-Connection: x\r\n' +
        'Upgrade: h2c\r\nSet-Cookie: a=1\r\nX-List: 1\r\nSet-Cookie: b=2\r\nX-List: 2\r\nContent-Type: text/plain\r\n' +
        'ETag: "1"\r\nETag: "2"\r\nX-Bytes: \xe9\r\nContent-Length: 5\r\n\r\nhello',
      sketch
    )

    const reply = await sendHttp2(gateway.connect(), { ':path': '/' })

    const { date, ...rest } = reply.headers
    assert.equal(reply.status, 418)
    assert.ok(date !== undefined)
    assert.deepEqual(rest, {
      ':status': 418,
      'set-cookie': ['a=1', 'b=2'],
      'x-list': '1, 2',
      'content-type': 'text/plain',
      // The one header of which Node.js sends only the first.
      etag: '"1"',
      'x-bytes': '\xe9',
      'content-length': '5'
    })
    assert.equal(String(reply.body), 'hello')
    assert.equal(reply.code, 0)
  })

  test(`${way}: trailers follow the body, those of a connection left out`, async (t) => {
    const gateway = await answering(
      t,
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nX-Sum: 43\r\n' +
        'Connection: close\r\n\r\n',
      sketch
    )

    const reply = await sendHttp2(gateway.connect(), { ':path': '/' })

    assert.equal(String(reply.body), 'hello')
    assert.equal(reply.headers.trailer, 'X-Sum')
    assert.equal(reply.headers['transfer-encoding'], undefined)
    assert.deepEqual(reply.trailers, { 'x-sum': '42, 43' })
    assert.equal(reply.code, 0)
  })

  for (const [method, status, head, length] of [
    ['HEAD', 200, 'Content-Length: 5\r\n', '5'],
    ['GET', 204, '', undefined],
    ['GET', 304, 'Content-Length: 5\r\n', '5'],
    ['GET', 200, 'Content-Length: 0\r\n', '0']
  ] as const) {
    test(`${way}: ${method} answered with ${status} has no body`, async (t) => {
      const gateway = await answering(t, `HTTP/1.1 ${status} X\r\n${head}\r\n`, sketch)

      const reply = await sendHttp2(gateway.connect(), { ':method': method, ':path': '/' })

      assert.equal(reply.status, status)
      assert.equal(reply.headers['content-length'], length)
      assert.equal(reply.body.length, 0)
      assert.equal(reply.code, 0)
    })
  }

  test(`${way}: the head leaves before there is a body, each event as it comes`, async (t) => {
    let target: Socket | undefined
    const { onSocket } = script((socket) => {
      target = socket
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    })
    const { url } = await startRawTarget(t, onSocket)
    const gateway = await startHttp2Gateway(t, [url], sketch)
    const stream = gateway.connect().request({ ':path': '/' })

    const [head] = await once(stream, 'response')
    target?.write('9\r\ndata: 1\n\n\r\n')
    const [event] = await once(stream, 'data')
    target?.write('0\r\n\r\n')
    await once(stream, 'close')

    assert.equal(head['content-type'], 'text/event-stream')
    assert.equal(String(event), 'data: 1\n\n')
    assert.equal(stream.rstCode, 0)
  })

  for (const [what, head] of [
    ['of known length', 'Content-Length: 100000\r\n\r\nhalf'],
    ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['up to the end of the connection', 'Connection: close\r\n\r\nhalf']
  ] as const) {
    test(`${way}: a body ${what} that is cut resets the stream, and only the stream`, async (t) => {
      const { onSocket } = script((socket, text) => {
        if (text.includes('/whole')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        else socket.write(`HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n${head}`)
        if (text.includes('/cut')) cut = () => socket.resetAndDestroy()
      })
      let cut = () => {}
      const { url } = await startRawTarget(t, onSocket)
      const gateway = await startHttp2Gateway(t, [url], sketch)
      const session = gateway.connect()
      const stream = session.request({ ':path': '/cut' })
      const reading = readReply(stream)
      await once(stream, 'data')

      cut()
      const reply = await reading
      const next = await sendHttp2(session, { ':path': '/whole' })
      await gateway.idle()

      assert.equal(reply.status, 200)
      assert.equal(String(reply.body), 'half')
      assert.equal(reply.code, NGHTTP2_INTERNAL_ERROR)
      assert.equal(next.status, 200)
    })
  }

  test(`${way}: a reader that stands still is reset after timeouts.idle, others on its connection are not`, async (t) => {
    const { url } = await startTarget(t, (request, response) => {
      response.end(request.url === '/large' ? Buffer.alloc(4 * 1024 * 1024) : 'small')
    })
    const gateway = await startHttp2Gateway(t, [url], { ...sketch, upstream: { timeouts: { idle: '50ms' } } })
    const client = connectFrames(t, gateway.port, { [INITIAL_WINDOW_SIZE]: 10 })

    client.send(headers(1, pseudo('GET', '/large', 'a.test')))
    const code = await client.reset(1)
    client.send(headers(3, pseudo('GET', '/', 'a.test')))
    const body = await client.body(3)
    await gateway.idle()

    assert.equal(code, NGHTTP2_INTERNAL_ERROR)
    assert.equal(body, 'small')
  })

  test(`${way}: a reader that stands still after its target is done is reset, too, whatever else moves`, async (t) => {
    const { url } = await startTarget(t, (request, response) => {
      response.end(request.url === '/long' ? 'more than the window takes' : 'small')
    })
    const gateway = await startHttp2Gateway(t, [url], { ...sketch, upstream: { timeouts: { idle: '50ms' } } })
    const client = connectFrames(t, gateway.port, { [INITIAL_WINDOW_SIZE]: 10 })

    client.send(headers(1, pseudo('GET', '/long', 'a.test')))
    const isReset = () => client.frames.some(({ type, id }) => type === RST_STREAM && id === 1)
    const end = performance.now() + 2_000
    for (let id = 3; !isReset() && performance.now() < end; id += 2) {
      client.send(headers(id, pseudo('GET', '/', 'a.test')))
      await client.body(id)
    }

    assert.ok(isReset())
  })

  test(`${way}: an answer that comes before the end of the upload stops the upload`, async (t) => {
    const { url } = await startTarget(t, (_request, response) => response.writeHead(413).end('too much'))
    const gateway = await startHttp2Gateway(t, [url], sketch)
    const client = connectFrames(t, gateway.port)

    client.send(headers(1, pseudo('POST', '/', 'a.test'), END_HEADERS), data(1, 'some'))
    const status = await client.status(1)
    const body = await client.body(1)
    const code = await client.reset(1)
    await gateway.idle()

    assert.deepEqual([status, body, code], [413, 'too much', NO_ERROR])
  })

  test(`${way}: informational responses arrive before the final one`, async (t) => {
    const gateway = await answering(
      t,
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nConnection: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      sketch
    )
    const stream = gateway.connect().request({ ':path': '/' })
    const [[hints], reply] = await Promise.all([once(stream, 'headers'), readReply(stream)])

    assert.deepEqual(plain(hints), { ':status': 103, link: '</a>, </b>' })
    assert.equal(reply.status, 200)
  })

  test(`${way}: a status that HTTP/2 does not have is a bad response`, async (t) => {
    const gateway = await answering(t, 'HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n', sketch)

    const reply = await sendHttp2(gateway.connect(), { ':path': '/' })

    assert.equal(reply.status, 502)
    assert.equal(JSON.parse(String(reply.body)).code, 'FST_GATEWAY_BAD_RESPONSE')
  })
}

test('the last frame of a body of known length ends the stream', async (t) => {
  const gateway = await answering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
  const client = connectFrames(t, gateway.port)

  client.send(headers(1, pseudo('GET', '/', 'a.test')))
  await client.body(1)

  const frames = client.frames.filter(({ id }) => id === 1).map(({ type, flags }) => [type, flags])
  assert.deepEqual(frames, [
    [HEADERS, END_HEADERS],
    [DATA, END_STREAM]
  ])
})

for (const path of ['/', '/missing']) {
  test(`headers of a connection that hooks and layers set do not get in the way of HTTP/2: ${path}`, async (t) => {
    const set = ({ reply }: { reply: FastifyReply }) => {
      for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade']) reply.header(name, 'x')
    }
    const layers = [
      { name: 'late', onSend: set },
      { name: 'early', onRequest: set }
    ]
    const gateway = await answering(t, 'HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello', {
      layers,
      route: { match: { path: '/' } }
    })

    const { status, headers } = await sendHttp2(gateway.connect(), { ':path': path })

    assert.equal(status, path === '/' ? 200 : 404)
    assert.equal(headers['keep-alive'], undefined)
  })
}

test('errors of the gateway have Fastify’s body and no header of a connection', async (t) => {
  const refused = await startHttp2Gateway(t, [`http://127.0.0.1:${await freePort()}`])
  const session = refused.connect()

  const missing = await sendHttp2(session, { ':path': '/' })
  const upload = await sendHttp2(session, { ':method': 'POST', ':path': '/' }, 'body')

  assert.deepEqual([missing.status, upload.status], [502, 502])
  assert.equal(JSON.parse(String(missing.body)).code, 'FST_GATEWAY_CONNECT_FAILED')
  assert.equal(upload.headers.connection, undefined)
})

test('an upload that is refused for its size is stopped, after the whole answer has left', async (t) => {
  const { url } = await startTarget(t, (request) => request.resume())
  const gateway = await startHttp2Gateway(t, [url], { options: { server: { bodyLimit: 10 } } })
  const client = connectFrames(t, gateway.port)

  client.send(headers(1, pseudo('POST', '/', 'a.test'), END_HEADERS), data(1, 'more than ten'))
  const body = await client.body(1)
  const code = await client.reset(1)

  assert.equal(JSON.parse(body).code, 'FST_GATEWAY_BODY_TOO_LARGE')
  assert.equal(code, NO_ERROR)
})

const broken = new Readable({ read() {} })

for (const [what, layer, cut] of [
  ['pipes it on', { name: 'pipe', onSend: (_exchange, payload) => piped(payload) }, (target) => target?.destroy()],
  ['has put a stream in its place that fails', { name: 'put', onSend: () => broken }, () => broken.destroy(new Error())]
] satisfies [what: string, layer: Layer, cut: (target: Socket | undefined) => void][]) {
  test(`a cut body resets the stream when a layer ${what}`, async (t) => {
    const { onSocket } = script((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')
      target = socket
    })
    let target: Socket | undefined
    const { url } = await startRawTarget(t, onSocket)
    const gateway = await startHttp2Gateway(t, [url], { layers: [layer] })
    const client = connectFrames(t, gateway.port)
    broken.push('part')

    client.send(headers(1, pseudo('GET', '/', 'a.test')))
    await client.frame(DATA, 1)
    cut(target)
    const code = await client.reset(1)

    const ends = client.frames.filter(
      ({ id, type, flags }) => id === 1 && type !== RST_STREAM && (flags & END_STREAM) !== 0
    )
    assert.equal(code, NGHTTP2_INTERNAL_ERROR)
    assert.deepEqual(ends, [])
  })
}

function piped(payload: unknown): unknown {
  return payload instanceof Readable ? payload.pipe(new PassThrough()) : payload
}

test('an answer that was given, but not taken, is none when the client resets its stream', async (t) => {
  const errors: unknown[] = []
  const ended: Layer = { name: 'ended', onResponse: ({ error }) => errors.push(error?.name) }
  const { url } = await startTarget(t, (_request, response) => response.end('more than the window takes'))
  const gateway = await startHttp2Gateway(t, [url], { layers: [ended] })
  const client = connectFrames(t, gateway.port, { [INITIAL_WINDOW_SIZE]: 10 })

  client.send(headers(1, pseudo('GET', '/', 'a.test')))
  await client.frame(DATA, 1)
  await gateway.idle()
  client.send(rstStream(1, CANCEL))
  await eventually(() => errors.length > 0, 'layers hear nothing of the end')

  assert.deepEqual(errors, ['FastifyError'])
})

test('layers learn whether an HTTP/2 client got its answer or left', async (t) => {
  const outcomes: string[] = []
  const layer: Layer = async (exchange, next) => {
    const { url } = exchange.request
    await next().then(
      () => outcomes.push(`${url} answered`),
      () => outcomes.push(`${url} left`)
    )
  }
  const ended: Layer = {
    name: 'ended',
    onResponse: ({ request, error }) => outcomes.push(`${request.url} ${error === undefined ? 'whole' : error.name}`)
  }
  const { url } = await startTarget(t, (request, response) => {
    if (request.url === '/answered') response.end('hello')
    else if (request.url === '/half') response.write('hello')
  })
  const gateway = await startHttp2Gateway(t, [url], { layers: [ended, layer] })
  const session = gateway.connect()

  await sendHttp2(session, { ':path': '/answered' })
  await eventually(() => outcomes.length === 2, 'layers hear nothing of the end')
  for (const path of ['/waiting', '/half']) {
    const stream = session.request({ ':path': path })
    stream.on('error', () => {})
    if (path === '/half') await once(stream, 'data')
    else await eventually(() => stream.id !== undefined, 'the stream does not open')
    stream.close(constants.NGHTTP2_CANCEL)
    await eventually(() => outcomes.filter((outcome) => outcome.startsWith(path)).length === 2, 'unnoticed')
  }

  assert.deepEqual(outcomes.sort(), [
    '/answered answered',
    '/answered whole',
    '/half FastifyError',
    '/half answered',
    '/waiting FastifyError',
    '/waiting left'
  ])
})
