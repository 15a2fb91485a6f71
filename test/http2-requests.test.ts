import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { constants } from 'node:http2'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { always, eventually, script, valuesOf } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'
import {
  CANCEL,
  connectFrames,
  data,
  END_HEADERS,
  headers,
  NO_ERROR,
  pseudo,
  rstStream
} from './http2-frames-helper.ts'
import { type Http2Sketch, readReply, sendHttp2, startHttp2Gateway } from './http2-helper.ts'

const EMPTY = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'

/** A gateway before a target that keeps what it gets as bytes, and answers each request at its end. */
async function record(t: TestContext, sketch: Http2Sketch = {}) {
  let text = ''
  const onSocket = (socket: Socket) => {
    socket.on('end', () => socket.end())
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const head = text.slice(0, text.indexOf('\r\n\r\n') + 4)
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
      const chunked = /^transfer-encoding: chunked/im.test(head)
      const complete = chunked ? /\r\n0\r\n.*\r\n$/s.test(text) : text.length >= head.length + length
      if (head.length > 4 && complete) socket.write(EMPTY)
    })
  }
  const target = await startRawTarget(t, onSocket)
  const gateway = await startHttp2Gateway(t, [target.url], sketch)
  return { gateway, received: () => text }
}

test('a target gets the request of an HTTP/2 client as HTTP/1.1, byte for byte what it asked for', async (t) => {
  const { gateway, received } = await record(t)

  const { status } = await sendHttp2(gateway.connect(), {
    ':path': '/a%20b;c?d=%2F&e',
    ':authority': 'site.test:8080',
    'x-one': ['first', 'second'],
    accept: '*/*',
    te: 'trailers'
  })

  assert.equal(status, 200)
  assert.equal(
    received(),
    [
      'GET /a%20b;c?d=%2F&e HTTP/1.1',
      'host: site.test:8080',
      'x-one: first',
      'x-one: second',
      'accept: */*',
      'te: trailers',
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-proto: http',
      'x-forwarded-host: site.test:8080',
      'via: 2 fastify-gateway\r\n\r\n'
    ].join('\r\n')
  )
})

test('cookie crumbs become one Cookie header', async (t) => {
  const { gateway, received } = await record(t)

  await sendHttp2(gateway.connect(), { ':path': '/', cookie: ['a=1', 'b=2; c=3', 'd="4"'] })

  assert.deepEqual(valuesOf(received(), 'cookie'), ['a=1; b=2; c=3; d="4"'])
})

test('over TLS, x-forwarded-proto is https, whatever :scheme says', async (t) => {
  const { gateway, received } = await record(t, { tls: true })

  await sendHttp2(gateway.connect(), { ':path': '/', ':scheme': 'http' })

  assert.deepEqual(valuesOf(received(), 'x-forwarded-proto'), ['https'])
})

test('a client cannot claim TLS with :scheme, a trusted proxy can', async (t) => {
  const plain = await record(t)
  const trusting = await record(t, { options: { trustedProxies: ['loopback'] } })

  await sendHttp2(plain.gateway.connect(), { ':path': '/', ':scheme': 'https' })
  await sendHttp2(trusting.gateway.connect(), { ':path': '/', ':scheme': 'https' })

  assert.deepEqual(valuesOf(plain.received(), 'x-forwarded-proto'), ['http'])
  assert.deepEqual(valuesOf(trusting.received(), 'x-forwarded-proto'), ['https'])
})

test('a client that offers no HTTP/2 in ALPN is served over HTTP/1.1 on the same port', async (t) => {
  const { gateway, received } = await record(t, { tls: true })

  const socket = connectTls({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false })
  t.after(() => socket.destroy())
  socket.write('GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n')
  const [answer] = await once(socket, 'data')

  assert.match(String(answer), /^HTTP\/1\.1 200 OK\r\n/)
  assert.deepEqual(valuesOf(received(), 'x-forwarded-proto'), ['https'])
  assert.deepEqual(valuesOf(received(), 'via'), ['1.1 fastify-gateway'])
})

for (const [method, headers, expected] of [
  ['GET', {}, []],
  ['DELETE', {}, []],
  ['POST', {}, ['content-length: 0']],
  ['PUT', {}, ['content-length: 0']],
  ['PATCH', { 'content-type': 'text/plain' }, ['content-length: 0']],
  ['POST', { 'content-length': '0' }, ['content-length: 0']]
] as const) {
  test(`${method} that ends with its head has no body: ${JSON.stringify(headers)}`, async (t) => {
    const { gateway, received } = await record(t)

    const { status } = await sendHttp2(gateway.connect(), { ':method': method, ':path': '/', ...headers })

    const framing = received()
      .split('\r\n')
      .filter((line) => /^(content-length|transfer-encoding):/.test(line))
    assert.equal(status, 200)
    assert.deepEqual(framing, expected)
    assert.ok(received().endsWith('\r\n\r\n'))
  })
}

test('a body with a length keeps it, one without goes out chunked', async (t) => {
  const known = await record(t)
  const unknown = await record(t)
  const typed = await record(t)

  await sendHttp2(known.gateway.connect(), { ':method': 'POST', ':path': '/', 'content-length': '5' }, 'hello')
  await sendHttp2(unknown.gateway.connect(), { ':method': 'POST', ':path': '/' }, 'hello')
  await sendHttp2(typed.gateway.connect(), { ':method': 'GET', ':path': '/', 'content-type': 'a/b' }, 'hello')

  assert.match(known.received(), /\r\ncontent-length: 5\r\n\r\nhello$/)
  assert.match(unknown.received(), /\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/)
  assert.match(typed.received(), /\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/)
})

test('request trailers follow a chunked body, save those that would change the message', async (t) => {
  const { gateway, received } = await record(t)

  const stream = gateway
    .connect()
    .request({ ':method': 'POST', ':path': '/', trailer: 'x-sum' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42', authorization: 'none' }))
  stream.end('hello')
  const { status } = await readReply(stream)

  assert.equal(status, 200)
  assert.deepEqual(valuesOf(received().split('\r\n\r\n')[0] ?? '', 'trailer'), ['x-sum'])
  assert.match(received(), /\r\n0\r\nx-sum: 42\r\n\r\n$/)
})

test('bodies of 2 MiB pass whole in both directions, on four streams at once', async (t) => {
  const { url } = await startTarget(t, (request, response) => request.pipe(response))
  const gateway = await startHttp2Gateway(t, [url])
  const session = gateway.connect()
  const bodies = [0, 1, 2, 3].map((seed) =>
    Buffer.alloc(2 * 1024 * 1024, createHash('sha256').update(`${seed}`).digest())
  )

  const replies = await Promise.all(bodies.map((body) => sendHttp2(session, { ':method': 'POST', ':path': '/' }, body)))

  assert.ok(replies.every(({ status, body }, i) => status === 200 && bodies[i]?.equals(body)))
})

test('a client is held to the pace of a target that does not read, and is noticed when it leaves', async (t) => {
  const { url, sockets } = await startRawTarget(t, (socket) => {
    socket.pause()
  })
  const gateway = await startHttp2Gateway(t, [url])
  const stream = gateway.connect().request({ ':method': 'POST', ':path': '/' })
  stream.on('error', () => {})
  let taken = 0
  const fill = () => {
    stream.write(Buffer.alloc(64 * 1024), (error) => {
      if (error) return
      taken += 64 * 1024
      fill()
    })
  }
  fill()
  let before = -1
  await eventually(() => {
    const same = taken > 0 && before === taken && [...sockets].every((socket) => socket.isPaused())
    before = taken
    return same
  }, 'the client is never stopped')

  const start = performance.now()
  stream.destroy()
  await gateway.idle()

  // Not more than the buffers of two sockets and one window.
  assert.ok(taken < 16 * 1024 * 1024, `${taken} bytes were taken`)
  assert.ok(performance.now() - start < 100)
})

test('an upload that the client resets never looks complete to the target', async (t) => {
  let text = ''
  let over = false
  const { url } = await startRawTarget(t, (socket) => {
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('close', () => {
      over = true
    })
    socket.on('end', () => socket.end())
  })
  const gateway = await startHttp2Gateway(t, [url])
  for (const code of [CANCEL, NO_ERROR]) {
    for (const method of ['POST', 'HEAD']) {
      text = ''
      over = false
      // The client of Node.js ends a stream before it resets it.
      const client = connectFrames(t, gateway.port)
      client.send(headers(1, pseudo(method, '/', 'a.test'), END_HEADERS), data(1, 'part'))
      await eventually(() => text.includes('part'), 'the body does not arrive')
      client.send(rstStream(1, code))
      await eventually(() => over, 'the target is not told')

      assert.doesNotMatch(text, /\r\n0\r\n/, `${method} reset with ${code}`)
    }
  }
  await gateway.idle()
})

for (const [what, method, body] of [
  ['waits for the response', 'GET', false],
  ['waits for the response to HEAD', 'HEAD', false],
  ['uploads', 'POST', true]
] as const) {
  test(`a client that cancels while it ${what} is noticed within 100 ms`, async (t) => {
    let closedAt = 0
    const { heads, onSocket } = script(() => {})
    const target = await startRawTarget(t, (socket) => {
      onSocket(socket)
      socket.on('close', () => {
        closedAt = performance.now()
      })
    })
    const gateway = await startHttp2Gateway(t, [target.url])
    const stream = gateway.connect().request({ ':method': method, ':path': '/' }, { endStream: !body })
    stream.on('error', () => {})
    await eventually(() => heads.length === 1, 'the request does not arrive')

    const start = performance.now()
    stream.close(constants.NGHTTP2_CANCEL)
    await eventually(() => closedAt > 0, 'the attempt goes on')
    await gateway.idle()

    assert.ok(closedAt - start < 100, `it took ${closedAt - start} ms`)
  })
}

test('a client that cancels in the middle of a body is noticed while the target sends nothing', async (t) => {
  let closed = false
  const target = await startRawTarget(t, (socket) => {
    always('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf').onSocket(socket)
    socket.on('close', () => {
      closed = true
    })
  })
  const gateway = await startHttp2Gateway(t, [target.url])
  const stream = gateway.connect().request({ ':path': '/' })
  stream.on('error', () => {})
  await once(stream, 'data')

  stream.close(constants.NGHTTP2_CANCEL)
  await eventually(() => closed, 'the attempt goes on')

  await gateway.idle()
})
