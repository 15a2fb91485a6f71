import assert from 'node:assert/strict'
import { PassThrough, Transform } from 'node:stream'
import { test } from 'node:test'
import {
  always,
  assertError,
  eventually,
  foreignHook,
  pick,
  RawClient,
  script,
  send,
  startGateway,
  valuesOf
} from './forwarding-helper.ts'
import { freePort, startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const BEGUN = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'
const HEAD_ONLY = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n'
const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: gw.test\r\n${headers}\r\n`

test('a refused connection is a 502 and the body names no address', async (t) => {
  const port = await freePort()
  const gateway = await startGateway(t, [`http://127.0.0.1:${port}`])

  const reply = await send(gateway.port)

  assertError(reply, 502, 'FST_GATEWAY_CONNECT_FAILED')
  assert.doesNotMatch(reply.body.toString(), new RegExp(`127\\.0\\.0\\.1|${port}|ECONN`))
})

test('a reset before the head is a 502', async (t) => {
  const { url } = await startRawTarget(t, script((socket) => socket.resetAndDestroy()).onSocket)
  const gateway = await startGateway(t, [url])

  assertError(await send(gateway.port), 502, 'FST_GATEWAY_TARGET_CLOSED')
  await gateway.idle()
})

test('a malformed head is a 502 and the process goes on', async (t) => {
  const { url } = await startRawTarget(t, always('HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n').onSocket)
  const gateway = await startGateway(t, [url])

  assertError(await send(gateway.port), 502, 'FST_GATEWAY_BAD_RESPONSE')
  assertError(await send(gateway.port), 502, 'FST_GATEWAY_BAD_RESPONSE')
})

for (const hooked of [false, true]) {
  const way = hooked ? 'with an onSend hook' : 'without hooks'
  const sketch = hooked ? { prepare: foreignHook } : {}

  test(`304 with content-length passes ${way}`, async (t) => {
    const answer = 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n'
    const { url } = await startRawTarget(t, always(answer).onSocket)
    const gateway = await startGateway(t, [url], sketch)

    const reply = await send(gateway.port)

    assert.equal(reply.status, 304)
    assert.equal(reply.headers['content-length'], '5')
    assert.equal(reply.body.length, 0)
  })

  test(`HEAD keeps the target connection alive ${way}`, async (t) => {
    let connections = 0
    const target = always('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n')
    const { url } = await startRawTarget(t, (socket) => {
      connections++
      target.onSocket(socket)
    })
    const gateway = await startGateway(t, [url], sketch)

    const replies = [await send(gateway.port, { method: 'HEAD' }), await send(gateway.port, { method: 'HEAD' })]

    assert.deepEqual(
      replies.map((reply) => [reply.status, reply.headers['content-length']]),
      [
        [200, '2'],
        [200, '2']
      ]
    )
    assert.equal(connections, 1)
  })

  test(`a reset in an EOF-delimited body is visible to the client ${way}`, async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\npartial'
    const { url, sockets } = await startRawTarget(t, always(answer).onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)
    client.write(get('/'))
    await client.until('partial')

    for (const socket of sockets) socket.resetAndDestroy()

    assert.doesNotMatch(await client.end(), /\r\n0\r\n/)
    await gateway.idle()
  })

  test(`a chunked body without its end is visible to the client ${way}`, async (t) => {
    const { url, sockets } = await startRawTarget(t, always(BEGUN).onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)
    client.write(get('/'))
    await client.until('hello')

    for (const socket of sockets) socket.end()
    const text = await client.end()

    assert.doesNotMatch(text, /\r\n0\r\n/)
    await gateway.idle()
  })

  test(`response headers leave before the first body byte ${way}`, async (t) => {
    const { url, sockets } = await startRawTarget(t, always(HEAD_ONLY).onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)
    client.write(get('/'))

    await client.until('HTTP/1.1 200')
    for (const socket of sockets) socket.write('2\r\nok\r\n0\r\n\r\n')

    await client.until('\r\nok\r\n')
  })

  test(`a Trailer header crashes nothing ${way}`, async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'
    const { url } = await startRawTarget(t, always(answer).onSocket)
    const gateway = await startGateway(t, [url], sketch)

    const reply = await send(gateway.port)

    assert.deepEqual([reply.status, reply.body.toString()], [200, 'ok'])
  })

  test(`duplicate headers are kept in their order ${way}`, async (t) => {
    const answer =
      'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-A: 1\r\nSet-Cookie: b=2\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n'
    const target = always(answer)
    const { url } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)

    client.write(get('/', 'X-B: 1\r\nX-B: 2\r\n'))
    const text = await client.until('\r\n\r\n')

    assert.deepEqual(valuesOf(text, 'set-cookie'), ['a=1', 'b=2'])
    assert.deepEqual(valuesOf(text, 'x-a'), ['1', '2'])
    assert.deepEqual(valuesOf(target.heads[0] ?? '', 'x-b'), ['1', '2'])
  })

  test(`connection-nominated headers are removed both ways ${way}`, async (t) => {
    const target = always(
      'HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\nX-End: 1\r\nContent-Length: 0\r\n\r\n'
    )
    const { url } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url], sketch)

    const reply = await send(gateway.port, { headers: { connection: 'X-Mine, close', 'x-mine': '1', 'x-end': '1' } })

    assert.deepEqual(
      [pick(reply.raw, 'x-hop'), pick(reply.raw, 'proxy-connection'), pick(reply.raw, 'x-end')],
      [[], [], ['1']]
    )
    const head = target.heads[0] ?? ''
    assert.deepEqual([valuesOf(head, 'x-mine'), valuesOf(head, 'connection'), valuesOf(head, 'x-end')], [[], [], ['1']])
  })

  test(`client abort reaches the target while it has not answered ${way}`, async (t) => {
    const target = script(() => {})
    const { url, sockets } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)
    client.write(get('/'))
    await eventually(() => target.heads.length === 1, 'the request does not arrive')

    client.socket.destroy()

    await eventually(() => sockets.size === 0, 'the target connection stays open')
    await gateway.idle()
  })

  test(`client abort in the middle of the body reaches the target ${way}`, async (t) => {
    const { url, sockets } = await startRawTarget(t, always(BEGUN).onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)
    client.write(get('/'))
    await client.until('hello')

    client.socket.destroy()

    await eventually(() => sockets.size === 0, 'the target connection stays open')
    await gateway.idle()
  })

  test(`an unsolicited 100 from the target is not the end ${way}`, async (t) => {
    const { url } = await startRawTarget(t, always(`HTTP/1.1 100 Continue\r\n\r\n${OK}`).onSocket)
    const gateway = await startGateway(t, [url], sketch)

    const reply = await send(gateway.port)

    assert.deepEqual([reply.status, reply.body.toString()], [200, 'ok'])
  })

  test(`an odd status and its reason pass ${way}`, async (t) => {
    const { url } = await startRawTarget(t, always('HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n').onSocket)
    const gateway = await startGateway(t, [url], sketch)

    const reply = await send(gateway.port)

    assert.deepEqual([reply.status, reply.reason], [999, 'Odd'])
  })
}

test('Expect: 100-continue with a small body reaches no target and is no 500', async (t) => {
  let expected: string | undefined = ''
  const { url } = await startTarget(t, (request, response) => {
    expected = request.headers.expect
    request.pipe(response)
  })
  const gateway = await startGateway(t, [url])

  const reply = await send(
    gateway.port,
    { method: 'POST', headers: { expect: '100-continue', 'content-length': 4 } },
    'body'
  )

  assert.deepEqual([reply.status, reply.body.toString(), expected], [200, 'body', undefined])
})

test('keep-alive and other hop-by-hop headers are not forwarded', async (t) => {
  const target = always(OK)
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])
  const names = ['keep-alive', 'proxy-connection', 'proxy-authorization', 'te', 'http2-settings']

  await send(gateway.port, { headers: { ...Object.fromEntries(names.map((name) => [name, 'x'])), 'x-end': '1' } })

  const head = target.heads[0] ?? ''
  assert.deepEqual(
    names.flatMap((name) => valuesOf(head, name)),
    []
  )
  assert.deepEqual(valuesOf(head, 'x-end'), ['1'])
})

test('bytes behind a complete response never answer the next request', async (t) => {
  const target = script((socket, _head, index) =>
    socket.write(index === 0 ? `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison` : OK)
  )
  let connections = 0
  const { url } = await startRawTarget(t, (socket) => {
    connections++
    target.onSocket(socket)
  })
  const gateway = await startGateway(t, [url])

  const bodies = [await send(gateway.port), await send(gateway.port)].map(({ body }) => body.toString())

  assert.deepEqual(bodies, ['ok', 'ok'])
  assert.equal(connections, 2)
})

test('bytes that arrive on an idle connection never answer the next request', async (t) => {
  const target = always(OK)
  const { url, sockets } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])
  await send(gateway.port)

  for (const socket of sockets) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')
  await eventually(() => sockets.size === 0, 'the poisoned connection stays open')
  const reply = await send(gateway.port)

  assert.equal(reply.body.toString(), 'ok')
})

test('POST is sent once', async (t) => {
  const target = script((socket) => socket.resetAndDestroy())
  const urls = [await startRawTarget(t, target.onSocket), await startRawTarget(t, target.onSocket)].map(
    ({ url }) => url
  )
  const gateway = await startGateway(t, urls, { upstream: { retry: { attempts: 5 } } })

  assertError(await send(gateway.port, { method: 'POST' }, 'x'), 502, 'FST_GATEWAY_TARGET_CLOSED')
  assert.equal(target.heads.length, 1)
})

test('a 503 is not multiplied, and Retry-After is not taken for milliseconds', async (t) => {
  const target = always('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy')
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])

  const reply = await send(gateway.port)

  assert.deepEqual([reply.status, reply.headers['retry-after'], reply.body.toString()], [503, '1', 'busy'])
  assert.equal(target.heads.length, 1)
})

test('the response that lost against a retry does not hold its connection', async (t) => {
  const busy = always('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\nbusy')
  const first = await startRawTarget(t, busy.onSocket)
  const second = await startRawTarget(t, always(OK).onSocket)
  const gateway = await startGateway(t, [first.url, second.url])

  const reply = await send(gateway.port)

  assert.equal(reply.body.toString(), 'ok')
  await gateway.idle()
  await eventually(() => first.sockets.size === 0, 'the losing connection stays open')
})

test('a throwing onSend hook releases the target connection', async (t) => {
  const { url, sockets } = await startRawTarget(t, always(BEGUN).onSocket)
  const prepare = (app: Parameters<typeof foreignHook>[0]) =>
    app.addHook('onSend', async () => {
      throw new Error('no')
    })
  const gateway = await startGateway(t, [url], { prepare })

  const reply = await send(gateway.port)

  assert.equal(reply.status, 500)
  await eventually(() => sockets.size === 0, 'the target connection stays open')
  await gateway.idle()
})

test('an onSend hook that drops the stream releases the target connection', async (t) => {
  const { url, sockets } = await startRawTarget(t, always(BEGUN).onSocket)
  const gateway = await startGateway(t, [url], { prepare: (app) => void app.addHook('onSend', async () => 'mine') })

  const reply = await send(gateway.port)

  assert.equal(reply.body.toString(), 'mine')
  await eventually(() => sockets.size === 0, 'the target connection stays open')
  await gateway.idle()
})

test('an onSend hook that replaces the stream gets right framing', async (t) => {
  const body = 'x'.repeat(100_000)
  const answer = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const { url } = await startRawTarget(t, always(answer).onSocket)
  const twice = () =>
    new Transform({ transform: (chunk, _encoding, done) => done(null, Buffer.concat([chunk, chunk])) })
  const gateway = await startGateway(t, [url], {
    prepare: (app) => {
      app.addHook('onSend', async (_request, _reply, payload) =>
        isReadable(payload) ? payload.pipe(twice()) : payload
      )
    }
  })

  const reply = await send(gateway.port)

  assert.deepEqual([reply.complete, reply.body.length], [true, 200_000])
})

test('an onSend hook that pipes sees target errors', async (t) => {
  const { url, sockets } = await startRawTarget(t, always(BEGUN).onSocket)
  const gateway = await startGateway(t, [url], {
    prepare: (app) => {
      app.addHook('onSend', async (_request, _reply, payload) =>
        isReadable(payload) ? payload.pipe(new PassThrough()) : payload
      )
    }
  })
  const client = new RawClient(t, gateway.port)
  client.write(get('/'))
  await client.until('hello')

  for (const socket of sockets) socket.resetAndDestroy()

  assert.doesNotMatch(await client.end(), /\r\n0\r\n/)
  await gateway.idle()
})

test('an onSend hook that pipes sees target errors that come before the first byte', async (t) => {
  const { url, sockets } = await startRawTarget(t, always(HEAD_ONLY).onSocket)
  let piped = false
  const gateway = await startGateway(t, [url], {
    prepare: (app) => {
      app.addHook('onSend', async (_request, _reply, payload) => {
        if (!isReadable(payload)) return payload
        piped = true
        return payload.pipe(new PassThrough())
      })
    }
  })
  const reply = send(gateway.port).then(
    ({ status, complete }) => status === 200 && complete,
    () => false
  )
  await eventually(() => piped, 'the hook does not run')

  for (const socket of sockets) socket.resetAndDestroy()

  assert.equal(await reply, false)
  await gateway.idle()
})

for (const type of ['weird', 'application/json ; charset=utf-8', 'application/json\ta', 'a/b; c=d; e', '']) {
  test(`content type '${type}' passes instead of a 415`, async (t) => {
    let seen: unknown
    const { url } = await startTarget(t, (request, response) => {
      seen = request.headers['content-type']
      request.pipe(response)
    })
    const gateway = await startGateway(t, [url])

    const reply = await send(gateway.port, { method: 'POST', headers: { 'content-type': type } }, '{"a": 1}')

    assert.deepEqual([reply.status, reply.body.toString(), seen], [200, '{"a": 1}', type])
  })
}

for (const method of ['GET', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT']) {
  test(`${method} with a body is forwarded`, async (t) => {
    const { url } = await startTarget(t, (request, response) => request.pipe(response))
    const gateway = await startGateway(t, [url])

    const reply = await send(gateway.port, { method, headers: { 'content-length': 4 } }, 'body')

    assert.deepEqual([reply.status, reply.body.toString()], [200, 'body'])
  })
}

test('bodies are forwarded byte for byte, JSON not re-encoded', async (t) => {
  const { url } = await startTarget(t, (request, response) => request.pipe(response))
  const gateway = await startGateway(t, [url])
  const json = '{ "b":1.0,\n "a" : "\\u00e9" , "b":2}'

  const headers = { 'content-type': 'application/json' }
  const replies = await Promise.all(
    [json, '0', 'false', 'null', '{broken', '\0\xff'].map(async (body) => [
      body,
      (await send(gateway.port, { method: 'POST', headers }, Buffer.from(body, 'latin1'))).body.toString('latin1')
    ])
  )

  for (const [sent, received] of replies) assert.equal(received, sent)
})

test('an early response while uploading does not wedge the client connection', async (t) => {
  const target = script((socket, head) =>
    socket.write(head.startsWith('POST') ? 'HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig' : OK)
  )
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)
  client.write('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 200000\r\n\r\n')
  client.write('a'.repeat(50_000))
  await client.until('big')

  client.write('a'.repeat(150_000))
  client.write(get('/next'))
  await eventually(() => client.text.endsWith('ok') || client.closed !== 'no', 'the connection is wedged')

  await gateway.idle()
})

test('each target gets its own host, not that of the first', async (t) => {
  const targets = [always(OK), always(OK)]
  const urls: string[] = []
  for (const target of targets) urls.push((await startRawTarget(t, target.onSocket)).url)
  const gateway = await startGateway(t, urls, { route: { rewrite: { host: 'target' } } })

  await send(gateway.port)
  await send(gateway.port)

  const hosts = targets.map(({ heads }) => valuesOf(heads[0] ?? '', 'host')[0])
  assert.deepEqual(
    hosts,
    urls.map((url) => url.slice('http://'.length))
  )
})

test('forwarding headers of a client that nobody trusts are replaced', async (t) => {
  const target = always(OK)
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])

  await send(gateway.port, { headers: { host: 'gw.test', 'x-forwarded-for': '6.6.6.6', 'x-forwarded-proto': 'https' } })

  const head = target.heads[0] ?? ''
  assert.deepEqual(
    ['for', 'proto', 'host'].map((name) => valuesOf(head, `x-forwarded-${name}`)),
    [['127.0.0.1'], ['http'], ['gw.test']]
  )
})

function isReadable(payload: unknown): payload is NodeJS.ReadableStream {
  return typeof payload === 'object' && payload !== null && 'pipe' in payload
}
