import assert from 'node:assert/strict'
import { test } from 'node:test'
import { always, assertError, eventually, script, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { freePort, startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const BUSY = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy'

for (const method of ['GET', 'POST']) {
  test(`${method} goes to another target when the first refuses the connection`, async (t) => {
    const { url } = await startTarget(t, (request, response) => request.pipe(response))
    const gateway = await startGateway(t, [`http://127.0.0.1:${await freePort()}`, url])

    const reply = await send(gateway.port, { method, headers: { 'content-length': 4 } }, 'body')

    assert.deepEqual([reply.status, reply.body.toString()], [200, 'body'])
    await gateway.idle()
  })
}

test('GET goes to another target when the first resets the connection before the head', async (t) => {
  const first = script((socket) => socket.resetAndDestroy())
  const second = always(OK)
  const urls = [await startRawTarget(t, first.onSocket), await startRawTarget(t, second.onSocket)].map(({ url }) => url)
  const gateway = await startGateway(t, urls)

  assert.equal((await send(gateway.port)).body.toString(), 'ok')
  assert.deepEqual([first.heads.length, second.heads.length], [1, 1])
})

for (const [on, status, asked] of [
  [undefined, 502, 0],
  [['malformed' as const], 200, 1]
] as const) {
  test(`what is no HTTP leads to a ${status} where retry.on is ${on ?? 'as by default'}`, async (t) => {
    const first = script((socket) => socket.end('HTTP/1.1 OK 200\r\n\r\n'))
    const second = always(OK)
    const targets = [await startRawTarget(t, first.onSocket), await startRawTarget(t, second.onSocket)]
    const gateway = await startGateway(
      t,
      targets.map(({ url }) => url),
      { upstream: { retry: on === undefined ? {} : { on: [...on] } } }
    )

    assert.equal((await send(gateway.port)).status, status)
    assert.deepEqual([first.heads.length, second.heads.length], [1, asked])
  })
}

test('a 503 is tried at another target, and the last one passes through', async (t) => {
  const targets = [always(BUSY), always(BUSY)]
  const urls: string[] = []
  for (const target of targets) urls.push((await startRawTarget(t, target.onSocket)).url)
  const gateway = await startGateway(t, urls, { upstream: { retry: { attempts: 5 } } })

  const reply = await send(gateway.port)

  assert.deepEqual([reply.status, reply.body.toString()], [503, 'busy'])
  assert.deepEqual(
    targets.map(({ heads }) => heads.length),
    [1, 1]
  )
  await gateway.idle()
})

test('no more attempts are made than configured', async (t) => {
  const target = script((socket) => socket.resetAndDestroy())
  const urls: string[] = []
  for (let i = 0; i < 5; i++) urls.push((await startRawTarget(t, target.onSocket)).url)
  const gateway = await startGateway(t, urls, { upstream: { retry: { attempts: 2 } } })

  assertError(await send(gateway.port), 502, 'FST_GATEWAY_TARGET_CLOSED')
  assert.equal(target.heads.length, 3)
})

test('conditions that retry.on does not name are not tried again', async (t) => {
  const target = always(BUSY)
  const urls = [await startRawTarget(t, target.onSocket), await startRawTarget(t, target.onSocket)].map(
    ({ url }) => url
  )
  const gateway = await startGateway(t, urls, { upstream: { retry: { on: ['connect'] } } })

  assert.equal((await send(gateway.port)).status, 503)
  assert.equal(target.heads.length, 1)
})

test('a body is replayed to the next target byte for byte', async (t) => {
  const first = await startTarget(t, (request, response) => {
    request.resume().on('end', () => response.writeHead(503).end('busy'))
  })
  const second = await startTarget(t, (request, response) => request.pipe(response))
  const gateway = await startGateway(t, [first.url, second.url])
  const body = Buffer.from(Array.from({ length: 60_000 }, (_, i) => (i * 31) % 256))

  for (const headers of [{ 'content-length': body.length }, { 'transfer-encoding': 'chunked' }]) {
    const reply = await send(gateway.port, { method: 'PUT', headers }, body)

    assert.equal(reply.status, 200)
    assert.ok(reply.body.equals(body))
  }
})

test('a body larger than retry.bodyLimit is not sent a second time', async (t) => {
  let requests = 0
  const busy = await startTarget(t, (request, response) => {
    requests++
    request.resume().on('end', () => response.writeHead(503).end('busy'))
  })
  const other = await startTarget(t, (request, response) => {
    requests++
    request.pipe(response)
  })
  const gateway = await startGateway(t, [busy.url, other.url], { upstream: { retry: { bodyLimit: 1_000 } } })

  const reply = await send(gateway.port, { method: 'PUT' }, 'x'.repeat(1_001))

  assert.deepEqual([reply.status, reply.body.toString(), requests], [503, 'busy', 1])
})

test('a connection that went stale is invisible on GET, and is no failure of the target', async (t) => {
  const target = script((socket, _head, index) => {
    if (index === 1) socket.destroy()
    else socket.write(OK)
  })
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url], { upstream: { retry: { attempts: 0 } } })

  const replies = [await send(gateway.port), await send(gateway.port)]

  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200]
  )
  assert.equal(target.heads.length, 3)
})

test('POST on a connection that went stale is a 502, since it may have been seen', async (t) => {
  const target = script((socket, _head, index) => {
    if (index === 1) socket.destroy()
    else socket.write(OK)
  })
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])
  await send(gateway.port)

  assertError(await send(gateway.port, { method: 'POST' }), 502, 'FST_GATEWAY_TARGET_CLOSED')
  assert.equal(target.heads.length, 2)
})

test('an attempt that fails after the answer has begun cuts the answer, and no other target is asked', async (t) => {
  const first = script((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', () =>
      setImmediate(() => socket.resetAndDestroy())
    )
  })
  const second = always(OK)
  const urls = [await startRawTarget(t, first.onSocket), await startRawTarget(t, second.onSocket)].map(({ url }) => url)
  const gateway = await startGateway(t, urls)

  const outcome = await send(gateway.port).then(
    ({ complete }) => complete,
    () => false
  )

  assert.equal(outcome, false)
  await gateway.idle()
})

test('weights 5, 1, 1 give a a b a c a a, time after time', async (t) => {
  const targets = []
  for (const [name, weight] of [['a', 5] as const, ['b', 1] as const, ['c', 1] as const]) {
    const { url } = await startTarget(t, (_request, response) => response.end(name))
    targets.push({ url, weight })
  }
  const gateway = await startGateway(t, targets, { upstream: { strategy: 'smooth-weighted-round-robin' } })

  let order = ''
  for (let i = 0; i < 14; i++) order += (await send(gateway.port)).body

  assert.equal(order, 'aabacaaaabacaa')
})

const keys: Record<string, (value: string) => { path?: string; headers?: Record<string, string> }> = {
  'header:x-user': (value) => ({ headers: { 'x-user': value } }),
  'cookie:user': (value) => ({ headers: { cookie: `a=b; user=${value}` } }),
  'query:user': (value) => ({ path: `/?a=b&user=${value}` }),
  path: (value) => ({ path: `/${value}?rest` }),
  url: (value) => ({ path: `/?${value}` }),
  ip: (value) => ({ headers: { 'x-forwarded-for': `10.0.0.${value.length}${value.charCodeAt(0)}` } })
}

for (const [hashKey, ask] of Object.entries(keys)) {
  test(`requests with the same ${hashKey} go to the same target, others spread`, async (t) => {
    const targets: string[] = []
    for (const name of ['a', 'b', 'c']) {
      targets.push((await startTarget(t, (_request, response) => response.end(name))).url)
    }
    const upstream = { strategy: 'consistent-hash', hashKey }
    const gateway = await startGateway(t, targets, { upstream, options: { trustedProxies: ['127.0.0.1'] } })
    const values = Array.from({ length: 20 }, (_, i) => String.fromCharCode(97 + i))
    const round = async () => {
      let chosen = ''
      for (const value of values) chosen += (await send(gateway.port, ask(value))).body
      return chosen
    }

    const [first, second] = [await round(), await round()]

    assert.equal(second, first)
    assert.ok(new Set(first).size > 1)
  })
}

test('a target at maxConnections is passed over, and with no other it is a 503', async (t) => {
  const silent = script(() => {})
  const { url } = await startRawTarget(t, silent.onSocket)
  const gateway = await startGateway(t, [{ url, maxConnections: 1 }])
  const waiting = send(gateway.port).catch(() => undefined)
  await eventually(() => silent.heads.length === 1, 'the first request does not arrive')

  assertError(await send(gateway.port), 503, 'FST_GATEWAY_NO_TARGET')
  assert.equal(gateway.app.balancers.get('users').overflows, 1)
  gateway.app.server.closeAllConnections()
  await waiting
  await gateway.idle()
})

test('each target of a retry gets its own host when the route asks for that', async (t) => {
  const second = always(OK)
  const { url } = await startRawTarget(t, second.onSocket)
  const dead = `http://127.0.0.1:${await freePort()}`
  const gateway = await startGateway(t, [dead, url], { route: { rewrite: { host: 'target' } } })

  await send(gateway.port)

  assert.deepEqual(valuesOf(second.heads[0] ?? '', 'host'), [url.slice('http://'.length)])
})
