import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import {
  always,
  assertError,
  eventually,
  RawClient,
  script,
  send,
  startGateway,
  valuesOf
} from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'

/** What other proxies assert about retries and timeouts; each test names the one that it comes from. */

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const UNAVAILABLE = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno'
const AT_ONCE = { base: 0 }

/** Raw targets, one for each script. */
async function startScripts(t: TestContext, scripts: readonly ReturnType<typeof script>[]) {
  const urls: string[] = []
  for (const { onSocket } of scripts) urls.push((await startRawTarget(t, onSocket)).url)
  return { urls, seen: () => scripts.map(({ heads }) => heads.length) }
}

/** A target that reads a request and closes the connection without an answer. */
function silent(): ReturnType<typeof script> {
  return script((socket) => socket.destroy())
}

for (const { limit, name } of [
  { limit: 'response', name: 'a target that does not answer within timeouts.response' },
  { limit: 'total', name: 'an exchange that is not over within timeouts.total' }
]) {
  test(`timeout-request (Gateway API HTTPRouteTimeoutRequest, -BackendRequest): ${name} is a 504; 0 is no limit`, async (t) => {
    const held: ServerResponse[] = []
    const target = await startTarget(t, (request, response) => {
      if (request.url === '/held') held.push(response)
      else response.end()
    })
    const limited = await startGateway(t, [target.url], { upstream: { timeouts: { [limit]: '500ms' } } })
    const endless = await startGateway(t, [target.url], { upstream: { timeouts: { [limit]: '0s' } } })

    const atOnce = await send(limited.port)
    const waiting = send(endless.port, { path: '/held' })
    await eventually(() => held.length === 1, 'the request does not arrive')
    const late = await send(limited.port, { path: '/held' })
    for (const response of held) response.end()

    assert.deepEqual([atOnce.status, late.status, (await waiting).status], [200, 504, 200])
  })
}

for (const { attempts, backups, expected } of [
  { attempts: 1, backups: 0, expected: 2 },
  { attempts: 9, backups: 0, expected: 3 },
  { attempts: 1, backups: 1, expected: 2 },
  { attempts: 2, backups: 2, expected: 3 }
]) {
  test(`next-upstream-tries (nginx proxy_next_upstream_tries.t): with ${attempts} retries, three failing targets, ${backups} of them backups, get ${expected} attempts`, async (t) => {
    const { urls, seen } = await startScripts(t, [always(UNAVAILABLE), always(UNAVAILABLE), always(UNAVAILABLE)])
    const targets = urls.map((url, index) => ({ url, backup: index >= 3 - backups, maxFails: 0 }))
    const { port } = await startGateway(t, targets, { upstream: { retry: { attempts, backoff: AT_ONCE } } })

    const reply = await send(port)

    assert.equal(reply.status, 503)
    assert.deepEqual(
      seen(),
      [0, 1, 2].map((index) => Number(index < expected))
    )
  })
}

test('non-idempotent (nginx proxy_non_idempotent.t): a GET that is closed unanswered is tried again, a POST is not', async (t) => {
  const { urls, seen } = await startScripts(t, [silent(), always(OK)])
  const targets = urls.map((url) => ({ url, maxFails: 0 }))
  const { port } = await startGateway(t, targets, { upstream: { retry: { backoff: AT_ONCE } } })

  const get = await send(port)
  const post = await send(port, { method: 'POST' })

  assert.equal(get.status, 200)
  assertError(post, 502, 'FST_GATEWAY_TARGET_CLOSED')
  assert.deepEqual(seen(), [2, 1])
})

test('non-idempotent: a POST is tried again where route and client say that it may be', async (t) => {
  const { urls, seen } = await startScripts(t, [silent(), always(OK)])
  const { port } = await startGateway(t, urls, {
    upstream: { retry: { backoff: AT_ONCE } },
    route: { retry: { idempotencyKey: true } }
  })

  const reply = await send(port, { method: 'POST', headers: { 'idempotency-key': '7' } })

  assert.equal(reply.status, 200)
  assert.deepEqual(seen(), [1, 1])
})

test('non-idempotent: a POST on a kept connection that its target closes is not sent again, and a GET is', async (t) => {
  const target = script((socket, _head, index) => {
    if (index % 2 === 0) socket.write(OK)
    else socket.destroy()
  })
  const { urls } = await startScripts(t, [target])
  const { port } = await startGateway(t, urls)

  const statuses: number[] = []
  for (const method of ['GET', 'POST', 'GET', 'GET']) statuses.push((await send(port, { method })).status)

  assert.deepEqual(statuses, [200, 502, 200, 200])
  assert.deepEqual(
    target.heads.map((head) => head.split(' ')[0]),
    ['GET', 'POST', 'GET', 'GET', 'GET']
  )
})

for (const { name, refuse } of [
  { name: 'RetryStreaming', refuse: (socket: Socket) => void socket.write(UNAVAILABLE) },
  { name: 'RetryStreamingReset', refuse: (socket: Socket) => void socket.resetAndDestroy() }
]) {
  test(`retry-streaming (Envoy ${name}): after an early failure, the retry has what was sent before it, and what comes after`, async (t) => {
    const refusing = script(() => {})
    const first = await startRawTarget(t, (socket) => {
      refusing.onSocket(socket)
      socket.on('data', (chunk) => {
        if (chunk.includes('half')) refuse(socket)
      })
    })
    const bodies: string[] = []
    let arrived = 0
    const second = await startTarget(t, (request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
        arrived += chunk.length
      })
      request.on('end', () => {
        bodies.push(body)
        response.end()
      })
    })
    const { port } = await startGateway(t, [first.url, second.url], { upstream: { retry: { backoff: AT_ONCE } } })
    const client = new RawClient(t, port)

    client.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf-')
    await eventually(() => arrived === 5, 'nothing is sent again')
    client.write('rest')

    assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 200/)
    assert.deepEqual(bodies, ['half-rest'])
  })
}

test('retry-attempt-header (Envoy RetryAttemptCountHeader): targets and client are told the number of the attempt', async (t) => {
  const scripts = [always(UNAVAILABLE), always('HTTP/1.1 200 OK\r\nX-Attempt: 9\r\nContent-Length: 2\r\n\r\nok')]
  const { urls } = await startScripts(t, scripts)
  const { port } = await startGateway(t, urls, {
    upstream: { retry: { attemptHeader: 'x-attempt', backoff: AT_ONCE } }
  })

  const retried = await send(port, { headers: { 'X-Attempt': '7' } })
  const direct = await send(port)

  assert.deepEqual([retried.headers['x-attempt'], direct.headers['x-attempt']], ['2', '1'])
  assert.deepEqual(
    scripts.map(({ heads }) => heads.map((head) => valuesOf(head, 'x-attempt'))),
    [[['1']], [['2'], ['1']]]
  )
})

test('retry-storm: while all targets answer 503 with Retry-After, they get no more than the budget adds', async (t) => {
  const answer = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n'
  const { urls, seen } = await startScripts(t, [always(answer), always(answer), always(answer)])
  const targets = urls.map((url) => ({ url, maxFails: 0 }))
  const began = performance.now()
  const { port } = await startGateway(t, targets, { upstream: { retry: { attempts: 10, backoff: AT_ONCE } } })

  for (let sent = 0; sent < 300; sent += 20) await Promise.all(Array.from({ length: 20 }, () => send(port)))
  const attempts = seen().reduce((sum, count) => sum + count)
  const allowed = 300 * 1.2 + 10 + ((performance.now() - began) / 1_000) * 10

  assert.ok(attempts > 300 && attempts <= allowed, `${attempts} of ${allowed}`)
})

test('pool-exhausted (Envoy NoConnectionPoolsFree): beyond maxConnections a request is a 503 that names the upstream, and the log has it', async (t) => {
  const held: ServerResponse[] = []
  const target = await startTarget(t, (_request, response) => held.push(response))
  const lines: { level: number; upstream?: string; msg: string }[] = []
  const stream = { write: (line: string) => lines.push(JSON.parse(line)) }
  const { port } = await startGateway(t, [{ url: target.url, maxConnections: 1 }], { server: { logger: { stream } } })
  const first = send(port)
  await eventually(() => held.length === 1, 'the request does not arrive')

  const second = await send(port)
  held[0]?.end()

  assertError(second, 503, 'FST_GATEWAY_NO_TARGET')
  assert.equal((await first).status, 200)
  const warnings = lines.filter(({ level }) => level === 40)
  assert.deepEqual(
    warnings.map(({ upstream, msg }) => [upstream, msg]),
    [['users', "Upstream 'users' has no target available"]]
  )
})

test('pending-after-close (Envoy UpstreamDisconnectWithTwoRequests): a request that waits for the only place gets a new connection when the first is closed', async (t) => {
  const held: Socket[] = []
  let connections = 0
  const target = script((socket) => held.push(socket))
  const { url } = await startRawTarget(t, (socket) => {
    connections++
    target.onSocket(socket)
  })
  const upstream = { queue: { size: 1 } }
  let arrived = 0
  const { port } = await startGateway(t, [{ url, maxConnections: 1 }], {
    upstream,
    prepare: (app) => app.addHook('onRequest', async () => void arrived++)
  })
  const first = send(port)
  await eventually(() => held.length === 1, 'the request does not arrive')
  const second = send(port)
  await eventually(() => arrived === 2, 'the request does not arrive')

  held[0]?.end(OK)
  await eventually(() => held.length === 2, 'the second request is not sent')
  held[1]?.end(OK)

  assert.deepEqual([(await first).status, (await second).status], [200, 200])
  assert.equal(connections, 2)
})
