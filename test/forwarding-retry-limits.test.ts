import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { always, assertError, script, send, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const busy = (...lines: string[]) =>
  `HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\nbusy`

/** A busy target before one that answers; tells how many requests each has seen. */
async function startBusy(t: Parameters<typeof startRawTarget>[0], answer: string, upstream: UpstreamSketch = {}) {
  const targets = [always(answer), always(OK)]
  const urls: string[] = []
  for (const { onSocket } of targets) urls.push((await startRawTarget(t, onSocket)).url)
  const gateway = await startGateway(t, urls, { upstream })
  return { gateway, seen: () => targets.map(({ heads }) => heads.length) }
}

test('a short Retry-After is waited for before the next target is asked', async (t) => {
  const { gateway, seen } = await startBusy(t, busy('Retry-After: 1'))

  const start = performance.now()
  const reply = await send(gateway.port)

  assert.deepEqual([reply.body.toString(), seen()], ['ok', [1, 1]])
  assert.ok(performance.now() - start >= 995)
})

test('a Retry-After longer than retry.maxRetryAfter goes to the client with its response', async (t) => {
  const { gateway, seen } = await startBusy(t, busy('Retry-After: 120'))

  const reply = await send(gateway.port)

  assert.deepEqual([reply.status, reply.headers['retry-after'], seen()], [503, '120', [1, 0]])
})

test('a Retry-After beyond the total deadline goes to the client with its response', async (t) => {
  const { gateway, seen } = await startBusy(t, busy('Retry-After: 2'), { timeouts: { total: 1_000 } })

  assert.equal((await send(gateway.port)).status, 503)
  assert.deepEqual(seen(), [1, 0])
})

test('with a retry.maxRetryAfter of 0 the next target is asked at once', async (t) => {
  const { gateway, seen } = await startBusy(t, busy('Retry-After: 120'), { retry: { maxRetryAfter: 0 } })

  assert.equal((await send(gateway.port)).status, 200)
  assert.deepEqual(seen(), [1, 1])
})

test('a small response that is dropped for another attempt leaves its connection usable', async (t) => {
  let connections = 0
  const target = script((socket, _head, index) => socket.write(index === 0 ? busy() : OK))
  const first = await startRawTarget(t, (socket) => {
    connections++
    target.onSocket(socket)
  })
  const second = await startRawTarget(t, always(OK).onSocket)
  // Failures do not take it out of service, so that it is asked again.
  const gateway = await startGateway(t, [{ url: first.url, maxFails: 0 }, second.url])

  for (let i = 0; i < 4; i++) assert.equal((await send(gateway.port)).status, 200)

  assert.deepEqual([target.heads.length, connections], [3, 1])
  await gateway.idle()
})

test('a response that is dropped and does not end holds nothing back', async (t) => {
  const endless = script((socket) => socket.write('HTTP/1.1 503 Busy\r\nContent-Length: 40000\r\n\r\nbegun'))
  const first = await startRawTarget(t, endless.onSocket)
  const second = await startRawTarget(t, always(OK).onSocket)
  const gateway = await startGateway(t, [first.url, second.url])

  assert.equal((await send(gateway.port)).body.toString(), 'ok')
  await gateway.idle()
})

for (const [title, headers, route, status] of [
  ['with an idempotency-key is tried again where the route allows it', { 'idempotency-key': 'a' }, true, 200],
  ['with an idempotency-key is not tried again by default', { 'idempotency-key': 'a' }, false, 503],
  ['without an idempotency-key is not tried again', {}, true, 503]
] as const) {
  test(`POST ${title}`, async (t) => {
    const keys: IncomingHttpHeaders[string][] = []
    const first = await startTarget(t, (request, response) => {
      request.resume().on('end', () => response.writeHead(503).end('busy'))
    })
    const second = await startTarget(t, (request, response) => {
      keys.push(request.headers['idempotency-key'])
      request.pipe(response)
    })
    const gateway = await startGateway(t, [first.url, second.url], { route: { retry: { idempotencyKey: route } } })

    const reply = await send(gateway.port, { method: 'POST', headers: { ...headers, 'content-length': 4 } }, 'body')

    assert.equal(reply.status, status)
    if (status === 200) assert.deepEqual([reply.body.toString(), keys], ['body', ['a']])
  })
}

test('a retry that would come after the total deadline is not made', async (t) => {
  const target = script((socket) => socket.resetAndDestroy())
  const urls: string[] = []
  for (let i = 0; i < 4; i++) urls.push((await startRawTarget(t, target.onSocket)).url)
  const spread = { base: 100_000, max: 100_000 }
  const gateway = await startGateway(t, urls, {
    upstream: { retry: { attempts: 3, backoff: spread }, timeouts: { total: 100 } }
  })

  // Of the waits drawn from 100 s, one in a thousand ends in time, and three in a row never.
  assertError(await send(gateway.port), 502, 'FST_GATEWAY_TARGET_CLOSED')
  assert.ok(target.heads.length < 4)
})
