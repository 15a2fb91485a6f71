import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { test } from 'node:test'
import {
  assertError,
  eventually,
  foreignHook,
  pick,
  RawClient,
  type Reply,
  send,
  startGateway
} from './forwarding-helper.ts'
import { fixture, freePort } from './helper.ts'
import {
  CANCEL,
  DATA,
  data,
  END_HEADERS,
  END_STREAM,
  type Field,
  HEADERS,
  headers,
  INTERNAL_ERROR,
  REFUSED_STREAM,
  rstStream
} from './http2-frames-helper.ts'
import { type SeenFields, startFrameTarget, startHttp2Target } from './http2-transport-helper.ts'

const OK: Field[] = [[':status', '200']]
const HTTP2 = { http2: true }
const certificate = fixture<{ cert: string; key: string }>('localhost-tls.json')

/** Reads the whole body of a request, and then answers. */
function afterBody(answer: (stream: ServerHttp2Stream, body: string, fields: SeenFields) => void) {
  return (stream: ServerHttp2Stream, fields: SeenFields) => {
    let body = ''
    stream.setEncoding('latin1')
    stream.on('data', (text: string) => {
      body += text
    })
    stream.on('end', () => answer(stream, body, fields))
  }
}

const echo = afterBody((stream, body) => {
  stream.respond()
  stream.end(body)
})

for (const hooked of [false, true]) {
  const way = hooked ? 'with an onSend hook' : 'without hooks'
  const sketch = hooked ? { prepare: foreignHook } : {}

  test(`a request goes out as HTTP/2, and its response comes back as it is ${way}`, async (t) => {
    let seen: SeenFields = {}
    let trailers: unknown
    const { url } = await startHttp2Target(t, (stream, fields) => {
      seen = fields
      stream.on('trailers', (_fields: object, _flags: number, raw: string[]) => {
        trailers = raw
      })
      afterBody((stream, body) => {
        stream.additionalHeaders({ ':status': 103, link: '</style.css>' })
        stream.respond(
          { ':status': 201, 'set-cookie': ['a=1', 'b=2'], 'content-type': 'text/plain' },
          { waitForTrailers: true }
        )
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '3' }))
        stream.end(`got ${body}`)
      })(stream, fields)
    })
    const gateway = await startGateway(t, [url], { upstream: HTTP2, ...sketch })
    const client = new RawClient(t, gateway.port)

    client.write(
      'POST /a?b HTTP/1.1\r\nHost: gw.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nCookie: c\r\n\r\n'
    )
    client.write('3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n')
    const text = await client.until('\r\n0\r\n')
    await client.until('x-sum: 3\r\n\r\n')

    assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/style\.css>\r\n\r\nHTTP\/1\.1 201 Created\r\n/i)
    assert.match(text, /set-cookie: a=1\r\nset-cookie: b=2\r\n/)
    assert.match(text, /\r\ntransfer-encoding: chunked\r\n/i)
    assert.match(text, /got abc\r\n/)
    assert.deepEqual(
      [':method', ':scheme', ':authority', ':path', 'te', 'cookie', 'x-forwarded-host', 'via'].map(
        (name) => seen[name]
      ),
      ['POST', 'http', 'gw.test', '/a?b', 'trailers', 'c', 'gw.test', '1.1 fastify-gateway']
    )
    assert.deepEqual(trailers, ['x-t', '1'])
    await gateway.idle()
  })

  test(`a target that resets a response leaves it visibly cut ${way}`, async (t) => {
    const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
      if (type === HEADERS) peer.send(headers(id, OK, END_HEADERS), data(id, 'half'))
    })
    const gateway = await startGateway(t, [url], { upstream: HTTP2, ...sketch })
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')
    await client.until('half')
    peers[0]?.send(rstStream(1, INTERNAL_ERROR))
    const text = await client.end()

    assert.doesNotMatch(text, /\r\n0\r\n/)
    await gateway.idle()
  })

  test(`a client that leaves resets its stream within 100 ms, and no other ${way}`, async (t) => {
    const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
      if (type === HEADERS && id < 5) peer.send(headers(id, OK, END_HEADERS), data(id, 'begun'))
    })
    const gateway = await startGateway(t, [url], { upstream: HTTP2, ...sketch })
    const clients = [1, 2, 3].map(() => new RawClient(t, gateway.port))
    for (const [i, client] of clients.entries()) {
      client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')
      if (i < 2) await client.until('begun')
      else await eventually(() => peers[0]?.frames.some(({ id }) => id === 5) === true, 'not under way')
    }

    for (const [i, id] of [
      [0, 1],
      [2, 5]
    ] as const) {
      const leftAt = performance.now()
      clients[i]?.socket.destroy()
      const code = await peers[0]?.reset(id)

      assert.equal(code, CANCEL)
      assert.ok(performance.now() - leftAt < 100)
    }
    peers[0]?.send(data(3, ' and done', END_STREAM))
    await clients[1]?.until(' and done')

    assert.equal(peers.length, 1)
    await gateway.idle()
  })
}

test('sessions that their target ends in order again and again fail no request', async (t) => {
  let streams = 0
  const { url, opened } = await startHttp2Target(
    t,
    (stream, fields) => {
      if (++streams % 20 === 0) stream.session?.close()
      echo(stream, fields)
    },
    { settings: { maxConcurrentStreams: 50 } }
  )
  const gateway = await startGateway(t, [url], { upstream: HTTP2 })
  const replies: Reply[] = []
  const run = async () => {
    for (let i = 0; i < 25; i++) {
      const method = i % 2 === 0 ? 'GET' : 'POST'
      replies.push(await send(gateway.port, { method }, method === 'POST' ? 'body' : ''))
    }
  }

  await Promise.all(Array.from({ length: 12 }, run))

  assert.equal(replies.length, 300)
  assert.equal(replies.filter(({ status, complete }) => status !== 200 || !complete).length, 0)
  assert.ok(opened() > 5, `${opened()} sessions`)
  await gateway.idle()
})

test('a POST that was refused is repeated once, whole', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id, flags }) => {
    if (type === HEADERS && id === 1 && peers.length === 1) peer.send(rstStream(id, REFUSED_STREAM))
    if (type === DATA && (flags & END_STREAM) !== 0) peer.send(headers(id, OK))
  })
  const gateway = await startGateway(t, [url], { upstream: HTTP2 })

  const reply = await send(gateway.port, { method: 'POST' }, 'body')

  const frames = peers.flatMap(({ frames }) => frames)
  assert.equal(reply.status, 200)
  assert.equal(frames.filter(({ type }) => type === HEADERS).length, 2)
  const last = frames.findLastIndex(({ type }) => type === HEADERS)
  const bodies = frames.slice(last).filter(({ type }) => type === DATA)
  assert.equal(Buffer.concat(bodies.map(({ payload }) => payload)).toString(), 'body')
})

test('a POST that is refused again and again is given up', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) peer.send(rstStream(id, REFUSED_STREAM))
  })
  const gateway = await startGateway(t, [url], { upstream: HTTP2 })

  assertError(await send(gateway.port, { method: 'POST' }, 'body'), 502, 'FST_GATEWAY_TARGET_CLOSED')
  assert.equal(peers.flatMap(({ frames }) => frames).filter(({ type }) => type === HEADERS).length, 2)
})

test('a POST that was refused after more of its body had passed than is kept is not repeated', async (t) => {
  let received = 0
  const { url, peers } = await startFrameTarget(t, (peer, { type, id, payload }) => {
    if (type === DATA) received += payload.length
    if (type === DATA && received > 10_000) peer.send(rstStream(id, REFUSED_STREAM))
  })
  const gateway = await startGateway(t, [url], { upstream: { ...HTTP2, retry: { bodyLimit: 1_000 } } })

  const reply = await send(gateway.port, { method: 'POST' }, Buffer.alloc(50_000))

  assertError(reply, 502, 'FST_GATEWAY_TARGET_CLOSED')
  assert.equal(peers.flatMap(({ frames }) => frames).filter(({ type }) => type === HEADERS).length, 1)
  await gateway.idle()
})

test('a target that cannot be reached is passed over; the last one gives a 502', async (t) => {
  const { url } = await startHttp2Target(t, echo)
  const dead = `http://127.0.0.1:${await freePort()}`
  const both = await startGateway(t, [dead, url], { upstream: HTTP2 })
  const none = await startGateway(t, [dead], { upstream: HTTP2 })

  assert.equal((await send(both.port, { method: 'POST' }, 'a')).body.toString(), 'a')
  assertError(await send(none.port), 502, 'FST_GATEWAY_CONNECT_FAILED')
})

test('a target that does not answer gives a 504, and its session goes on', async (t) => {
  const { url, opened } = await startHttp2Target(t, (stream, fields) => {
    if (fields[':path'] !== '/hang') echo(stream, fields)
  })
  const gateway = await startGateway(t, [url], { upstream: { ...HTTP2, timeouts: { response: 100 } } })

  assertError(await send(gateway.port, { path: '/hang' }), 504, 'FST_GATEWAY_RESPONSE_TIMEOUT')
  assert.equal((await send(gateway.port, { method: 'POST' }, 'a')).body.toString(), 'a')
  assert.equal(opened(), 1)
})

test('an https target is reached with the tls options of the upstream', async (t) => {
  const { url } = await startHttp2Target(t, echo, { ...certificate, requestCert: true, ca: certificate.cert })
  const tls = { ca: certificate.cert, cert: certificate.cert, key: certificate.key }
  const gateway = await startGateway(t, [url], { upstream: { ...HTTP2, tls } })

  assert.equal((await send(gateway.port, { method: 'POST' }, 'secret')).body.toString(), 'secret')
})

test('an upgrade is refused, and counts against nobody', async (t) => {
  const { url } = await startHttp2Target(t, echo)
  const gateway = await startGateway(t, [url], { upstream: HTTP2 })
  const headers = { connection: 'upgrade', upgrade: 'websocket' }

  assertError(await send(gateway.port, { headers }), 501, 'FST_GATEWAY_UPGRADE_UNSUPPORTED')
  assert.equal((await send(gateway.port)).status, 200)
})

test('a large upload and a large download pass at the pace of the reader, and are whole', async (t) => {
  const size = 32 * 1024 * 1024
  let produced = 0
  const { url } = await startHttp2Target(t, (stream, fields) => {
    if (fields[':method'] === 'POST') {
      let received = 0
      stream.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      stream.on('end', () => {
        stream.respond()
        stream.end(String(received))
      })
      return
    }
    const chunk = Buffer.alloc(64 * 1024)
    const write = () => {
      while (produced < size) {
        produced += chunk.length
        if (!stream.write(chunk)) {
          stream.once('drain', write)
          return
        }
      }
      stream.end()
    }
    // A target that leaves the request unread may end its response by a reset (Node.js, with streams of node:http2).
    stream.resume()
    stream.respond()
    write()
  })
  const gateway = await startGateway(t, [url], { upstream: HTTP2 })

  const upload = await send(gateway.port, { method: 'POST' }, Buffer.alloc(size))
  const download = request({ host: '127.0.0.1', port: gateway.port, agent: false }).end()
  const [response] = await once(download, 'response')
  let consumed = 0
  let most = 0
  response.on('data', (chunk: Buffer) => {
    consumed += chunk.length
    most = Math.max(most, produced - consumed)
  })
  response.pause()
  // Everything between is full when nothing moves any more.
  let held = -1
  for (let still = 0; still < 2_000; still = produced === held ? still + 1 : 0) {
    held = produced
    await new Promise((resolve) => setImmediate(resolve))
  }
  response.resume()
  await once(response, 'end')

  assert.equal(upload.body.toString(), String(size))
  assert.equal(consumed, size)
  // Windows, and the buffers of two sockets.
  assert.ok(held < 16 * 1024 * 1024, `${held} bytes were on their way`)
})

test('header names that repeat come back apart, and a bodyless answer has its announced length', async (t) => {
  const { url } = await startHttp2Target(t, (stream, fields) => {
    stream.respond({ 'x-a': ['1', '2'], 'content-length': '5' }, { endStream: fields[':method'] === 'HEAD' })
    if (fields[':method'] !== 'HEAD') stream.end('12345')
  })
  const gateway = await startGateway(t, [url], { upstream: HTTP2 })

  const head = await send(gateway.port, { method: 'HEAD' })
  const get = await send(gateway.port)

  assert.deepEqual([pick(head.raw, 'x-a'), pick(head.raw, 'content-length')], [['1', '2'], ['5']])
  assert.deepEqual([get.body.toString(), pick(get.raw, 'content-length')], ['12345', ['5']])
})

test('the end of the gateway is the end of its sessions', async (t) => {
  const { url, sessions } = await startHttp2Target(t, echo)
  const gateway = await startGateway(t, [url], { upstream: HTTP2 })

  await send(gateway.port)
  const before = sessions.size
  await gateway.app.close()

  assert.equal(before, 1)
  await eventually(() => sessions.size === 0, 'a session stays')
})
