import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { assertError, eventually, RawClient, send, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { freePort, startTarget } from './helper.ts'

/** Targets that answer with their name and what they got, or with a status; `held` waits to be answered. */
async function startNamed(t: TestContext, name: string, status = 200) {
  const held: ServerResponse[] = []
  const hits: string[] = []
  const { url } = await startTarget(t, (request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      hits.push(body)
      if (request.url === '/held') held.push(response)
      else response.writeHead(status).end(`${name} ${body}`)
    })
  })
  return { url, held, hits }
}

async function start(
  t: TestContext,
  targets: UpstreamSketch['targets'],
  upstream: UpstreamSketch,
  more: Record<string, UpstreamSketch>
) {
  return startGateway(t, targets, { upstream: { failover: 'second', ...upstream }, more })
}

test('while no target of an upstream is available, requests go to the one that stands in', async (t) => {
  const [first, second] = [await startNamed(t, 'first'), await startNamed(t, 'second')]
  const { app, port } = await start(t, [first.url], {}, { second: { targets: [second.url] } })
  const [target] = app.balancers.get('users').targets
  assert.ok(target)
  const bodies: string[] = []

  for (const down of [false, true, false]) {
    target.down = down
    bodies.push((await send(port, { method: 'POST' }, 'body')).body.toString())
  }

  assert.deepEqual(bodies, ['first body', 'second body', 'first body'])
})

test('an upstream without any target has one that stands in as well, and the exchange tells which', async (t) => {
  const second = await startNamed(t, 'second')
  const seen: (string | undefined)[] = []
  const { port } = await startGateway(t, [], {
    upstream: { failover: 'second' },
    more: { second: { targets: [second.url] } },
    prepare: (app) =>
      app.addHook('onResponse', async ({ exchange }) => void seen.push(exchange?.upstream, exchange?.target))
  })

  await send(port)
  await eventually(() => seen.length === 2, 'the exchange does not end')

  assert.deepEqual(seen, ['second', second.url])
})

test('what stands in may have another that stands in for it', async (t) => {
  const third = await startNamed(t, 'third')
  const { port } = await start(
    t,
    [],
    {},
    { second: { failover: { upstream: 'third' } }, third: { targets: [third.url] } }
  )

  assert.equal((await send(port)).body.toString(), 'third ')
})

test('where nothing stands in any more, the error is that of the last upstream', async (t) => {
  const { port } = await start(t, [], {}, { second: {} })

  const reply = await send(port)

  assertError(reply, 503, 'FST_GATEWAY_NO_TARGET')
  assert.match(reply.body.toString(), /'second'/)
})

test('while all targets are full, requests go to the upstream that stands in', async (t) => {
  const [first, second] = [await startNamed(t, 'first'), await startNamed(t, 'second')]
  const { port } = await start(t, [{ url: first.url, maxConnections: 1 }], {}, { second: { targets: [second.url] } })
  const held = send(port, { path: '/held' })
  await eventually(() => first.held.length === 1, 'the request does not arrive')

  const other = await send(port)
  first.held[0]?.end()
  await held
  const again = await send(port)

  assert.deepEqual([other.body.toString(), again.body.toString()], ['second ', 'first '])
})

test('with a queue, requests wait first: what the queue does not take, or keeps too long, goes over', async (t) => {
  const [first, second] = [await startNamed(t, 'first'), await startNamed(t, 'second')]
  const { port } = await start(
    t,
    [{ url: first.url, maxConnections: 1 }],
    { queue: { size: 1, timeout: '300ms' } },
    { second: { targets: [second.url] } }
  )
  const held = send(port, { path: '/held' })
  await eventually(() => first.held.length === 1, 'the request does not arrive')

  const replies = await Promise.all([send(port), send(port)])
  first.held[0]?.end()
  await held

  assert.deepEqual(
    replies.map(({ body }) => body.toString()),
    ['second ', 'second ']
  )
})

for (const { name, on, status, expected } of [
  { name: 'a status that is listed leads to the upstream that stands in', on: [500], status: 500, expected: 'second ' },
  { name: 'a status that is not listed is the answer', on: [502], status: 500, expected: 'first ' },
  {
    name: 'a status that is also tried again leads there once that has not helped',
    on: [503],
    status: 503,
    expected: 'second '
  }
]) {
  test(name, async (t) => {
    const [first, second] = [await startNamed(t, 'first', status), await startNamed(t, 'second')]
    const { port } = await start(
      t,
      [first.url],
      { failover: { upstream: 'second', on } },
      { second: { targets: [second.url] } }
    )

    assert.equal((await send(port)).body.toString(), expected)
  })
}

test('a failure that is listed leads there; the request is not known to anybody, so its method does not matter', async (t) => {
  const second = await startNamed(t, 'second')
  const url = `http://127.0.0.1:${await freePort()}`
  const { port } = await start(
    t,
    [url],
    { failover: { upstream: 'second', on: ['connect'] } },
    { second: { targets: [second.url] } }
  )

  assert.equal((await send(port, { method: 'POST' }, 'body')).body.toString(), 'second body')
})

test('a POST that a target may have seen is not sent elsewhere; a PUT is, with its body', async (t) => {
  const [first, second] = [await startNamed(t, 'first', 500), await startNamed(t, 'second')]
  const upstream = { failover: { upstream: 'second', on: [500] }, retry: { attempts: 0 } }
  const { port } = await start(t, [first.url], upstream, { second: { targets: [second.url] } })

  const post = await send(port, { method: 'POST' }, 'body')
  const put = await send(port, { method: 'PUT' }, 'body')

  assert.deepEqual([post.status, post.body.toString()], [500, 'first body'])
  assert.equal(put.body.toString(), 'second body')
  assert.deepEqual(second.hits, ['body'])
})

test('a body that is too large to be kept is not sent elsewhere', async (t) => {
  const [first, second] = [await startNamed(t, 'first', 500), await startNamed(t, 'second')]
  const upstream = { failover: { upstream: 'second', on: [500] }, retry: { bodyLimit: 3 } }
  const { port } = await start(t, [first.url], upstream, { second: { targets: [second.url] } })

  assert.equal((await send(port, { method: 'PUT' }, 'body')).status, 500)
  assert.deepEqual(second.hits, [])
})

test('attempts count over both upstreams: the failover is one more, and retries made before it are spent', async (t) => {
  const firsts = [await startNamed(t, 'a', 503), await startNamed(t, 'b', 503), await startNamed(t, 'c', 503)]
  const seconds = [await startNamed(t, 'd', 503), await startNamed(t, 'e', 503)]
  const retry = { attempts: 1, backoff: { base: 0 } }
  const { port } = await start(
    t,
    firsts.map(({ url }) => url),
    { failover: { upstream: 'second', on: [503] }, retry },
    { second: { targets: seconds.map(({ url }) => url), retry } }
  )

  assert.equal((await send(port)).status, 503)
  assert.equal(firsts.flatMap(({ hits }) => hits).length, 2)
  assert.equal(seconds.flatMap(({ hits }) => hits).length, 1)
})

test('a failover after a failure is within the retry budget', async (t) => {
  const began = performance.now()
  const [first, second] = [await startNamed(t, 'first', 500), await startNamed(t, 'second')]
  const upstream = { failover: { upstream: 'second', on: [500] }, retry: { budget: 0 } }
  const { port } = await start(t, [first.url], upstream, { second: { targets: [second.url] } })

  const replies = await Promise.all(Array.from({ length: 60 }, () => send(port)))
  const granted = 10 + ((performance.now() - began) / 1_000) * 10

  const served = replies.filter(({ status }) => status === 200).length
  assert.ok(served >= 10 && served <= granted, `${served} of ${granted}`)
  assert.equal(replies.filter(({ status }) => status === 500).length, 60 - served)
})

test('timeouts.total of the first upstream holds over both', async (t) => {
  const second = await startTarget(t, () => {})
  const { port, app } = await start(
    t,
    [],
    { timeouts: { total: '100ms' } },
    { second: { targets: [second.url], timeouts: { total: 0 } } }
  )

  const reply = await send(port)

  assertError(reply, 504, 'FST_GATEWAY_TOTAL_TIMEOUT')
  assert.match(reply.body.toString(), /100 ms/)
  assert.equal(app.balancers.get('second').targets[0]?.inFlight, 0)
})

test('what stands in has its own strategy, key and sessions', async (t) => {
  const seconds = [await startNamed(t, 'b'), await startNamed(t, 'c')]
  const targets = seconds.map(({ url }) => url)
  const strategy = { name: 'sticky', secret: 'a secret of some length', cookie: 'sid' }
  const { port } = await start(t, [], {}, { second: { targets, strategy } })

  const opened = await send(port)
  const [line = ''] = opened.headers['set-cookie'] ?? []
  const headers = { cookie: line.slice(0, line.indexOf(';')) }
  const again = await Promise.all(Array.from({ length: 4 }, () => send(port, { headers })))

  assert.match(line, /^sid=/)
  assert.deepEqual(new Set(again.map(({ body }) => body.toString())), new Set([opened.body.toString()]))
})

test('places at both upstreams are free again after a failover, also when the client leaves', async (t) => {
  const [first, second] = [await startNamed(t, 'first', 500), await startNamed(t, 'second')]
  const upstream = { failover: { upstream: 'second', on: [500] } }
  const { app, port } = await start(t, [first.url], upstream, { second: { targets: [second.url] } })
  const inFlight = () => ['users', 'second'].map((name) => app.balancers.get(name).targets[0]?.inFlight)
  await send(port)
  const client = new RawClient(t, port)

  // Held by the second only: the first answers it with its status.
  app.balancers.get('users').targets.forEach((target) => {
    target.down = true
  })
  client.write('GET /held HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => second.held.length === 1, 'the request does not arrive')
  client.socket.destroy()

  await eventually(() => inFlight().every((count) => count === 0), 'a place stays taken')
})

test('targets that are unhealthy are not used in a panic where another upstream stands in', async (t) => {
  const [first, second] = [await startNamed(t, 'first'), await startNamed(t, 'second')]
  const { app, port } = await start(t, [first.url], {}, { second: { targets: [second.url] } })

  app.balancers.get('users').targets[0]?.set('unhealthy', true)

  assert.equal((await send(port)).body.toString(), 'second ')
})

test('at the upstream that stands in, failed attempts are tried again as it says', async (t) => {
  const first = await startNamed(t, 'first', 503)
  const seconds = [await startNamed(t, 'b', 503), await startNamed(t, 'c')]
  const upstream = { failover: { upstream: 'second', on: [503] }, retry: { attempts: 0 } }
  const second = { targets: seconds.map(({ url }) => url), retry: { attempts: 1, backoff: { base: 0 } } }
  const { port } = await start(t, [first.url], upstream, { second })

  assert.equal((await send(port)).body.toString(), 'c ')
})

test('a failover makes room for who waits at the upstream that failed', async (t) => {
  const held: ServerResponse[] = []
  const first = await startTarget(t, (_request, response) =>
    held.push(response.writeHead(500, { 'content-length': 2 }))
  )
  const second = await startNamed(t, 'second')
  const upstream = { failover: { upstream: 'second', on: [500] }, queue: { size: 1, timeout: 0 } }
  let arrived = 0
  const { port } = await startGateway(t, [{ url: first.url, maxConnections: 1 }], {
    upstream,
    more: { second: { targets: [second.url] } },
    prepare: (app) => app.addHook('onRequest', async () => void arrived++)
  })
  const replies = [send(port)]
  await eventually(() => held.length === 1, 'the request does not arrive')
  replies.push(send(port))
  await eventually(() => arrived === 2, 'the request does not arrive')

  held[0]?.end('no')
  await eventually(() => held.length === 2, 'the second request still waits')
  held[1]?.end('no')

  assert.deepEqual(
    (await Promise.all(replies)).map(({ body }) => body.toString()),
    ['second ', 'second ']
  )
})

test('a failure before a failover counts for the target that failed', async (t) => {
  const first = await startTarget(t, (_request, response) => response.writeHead(500, { 'content-length': 2 }).end('no'))
  const second = await startNamed(t, 'second')
  const targets = [{ url: first.url }, { url: 'http://127.0.0.1:9', down: true }]
  const upstream = { failover: { upstream: 'second', on: [500] } }
  const { app, port } = await start(t, targets, upstream, { second: { targets: [second.url] } })
  const [target] = app.balancers.get('users').targets

  await send(port)
  await eventually(() => target?.inFlight === 0, 'a place stays taken')

  assert.equal(target?.fails, 1)
})

test('while the circuit breaker of an upstream is open, requests go to the one that stands in', async (t) => {
  const [first, second] = [await startNamed(t, 'first'), await startNamed(t, 'second')]
  const { app, port } = await start(t, [first.url], {}, { second: { targets: [second.url] } })

  app.balancers.get('users').gate = { admit: () => false, retryAfter: 0 }

  assert.equal((await send(port)).body.toString(), 'second ')
})
