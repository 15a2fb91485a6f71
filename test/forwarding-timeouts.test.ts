import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  always,
  assertError,
  eventually,
  foreignHook,
  RawClient,
  script,
  send,
  startGateway
} from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'

const LIMIT = 100
const NONE = { connect: 0, response: 0, idle: 0, total: 0 }
const silent = () => script(() => {})

interface Timing {
  readonly elapsed: number
  /** By how much a busy machine delayed another timer meanwhile. */
  readonly lag: number
}

/** How long a promise takes to settle. */
async function timed<T>(promise: Promise<T>): Promise<[T, Timing]> {
  const start = performance.now()
  let last = start
  let lag = 0
  const watch = setInterval(() => {
    lag = Math.max(lag, performance.now() - last - 10)
    last = performance.now()
  }, 10)
  const result = await promise.finally(() => clearInterval(watch))
  return [result, { elapsed: performance.now() - start, lag }]
}

function assertWithin({ elapsed, lag }: Timing, limit: number): void {
  assert.ok(elapsed >= limit && elapsed <= limit + 100 + 4 * lag, `${elapsed} ms, lag ${lag} ms`)
}

for (const hooked of [false, true]) {
  const way = hooked ? 'with an onSend hook' : 'without hooks'
  const prepare = hooked ? { prepare: foreignHook } : {}

  for (const [name, code] of [
    ['response', 'FST_GATEWAY_RESPONSE_TIMEOUT'],
    ['total', 'FST_GATEWAY_TOTAL_TIMEOUT']
  ] as const) {
    test(`timeouts.${name} is a 504 within 100 ms of its limit ${way}`, async (t) => {
      const { url } = await startRawTarget(t, silent().onSocket)
      const timeouts = { ...NONE, [name]: LIMIT }
      const gateway = await startGateway(t, [url], { upstream: { timeouts }, ...prepare })

      const [reply, elapsed] = await timed(send(gateway.port))

      assertError(reply, 504, code)
      assertWithin(elapsed, LIMIT)
      await gateway.idle()
    })
  }

  test(`timeouts.idle cuts a body that stops, within 100 ms of its limit ${way}`, async (t) => {
    const begun = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'
    const { url } = await startRawTarget(t, always(begun).onSocket)
    const gateway = await startGateway(t, [url], { upstream: { timeouts: { ...NONE, idle: LIMIT } }, ...prepare })

    const [reply, elapsed] = await timed(send(gateway.port))

    assert.deepEqual([reply.body.toString(), reply.complete], ['hello', false])
    assertWithin(elapsed, LIMIT)
    await gateway.idle()
  })
}

test('timeouts.connect is a 504 within 100 ms of its limit', async (t) => {
  // A TLS handshake that never comes: the connection of the target does not stand.
  const { url } = await startRawTarget(t, () => {})
  const target = url.replace('http:', 'https:')
  const gateway = await startGateway(t, [target], { upstream: { timeouts: { ...NONE, connect: LIMIT } } })

  const [reply, elapsed] = await timed(send(gateway.port))

  assertError(reply, 504, 'FST_GATEWAY_CONNECT_TIMEOUT')
  assertWithin(elapsed, LIMIT)
  await gateway.idle()
})

test('timeouts.idle ends an exchange whose client stops sending its body', async (t) => {
  const { url } = await startRawTarget(t, silent().onSocket)
  const gateway = await startGateway(t, [url], { upstream: { timeouts: { ...NONE, idle: LIMIT } } })
  const client = new RawClient(t, gateway.port)

  client.write('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 100\r\n\r\nhalf')
  const [text, elapsed] = await timed(client.until('FST_GATEWAY_IDLE_TIMEOUT'))

  assert.match(text, /^HTTP\/1\.1 504 .*connection: close/is)
  assertWithin(elapsed, LIMIT)
  await gateway.idle()
})

test('timeouts.idle ends an exchange whose client stops reading', async (t) => {
  const target = script((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n')
    socket.write(Buffer.alloc(64 * 1024 * 1024))
  })
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url], { upstream: { timeouts: { ...NONE, idle: LIMIT } } })
  const client = new RawClient(t, gateway.port)
  client.socket.pause()

  client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')

  await eventually(() => target.heads.length === 1, 'the request does not arrive')
  await gateway.idle()
})

test('timeouts.idle does not run while an upload moves beside a response that has begun', async (t) => {
  let received = ''
  const { url } = await startRawTarget(t, (socket) => {
    socket.on('data', (chunk) => {
      if (received === '') socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      received += chunk.toString('latin1')
      if (received.endsWith('\r\n0\r\n\r\n')) socket.write('2\r\nok\r\n0\r\n\r\n')
    })
  })
  const gateway = await startGateway(t, [url], { upstream: { timeouts: { ...NONE, idle: LIMIT } } })
  const client = new RawClient(t, gateway.port)

  client.write('POST / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n')
  await client.until('200 OK')
  const endAt = performance.now() + 3 * LIMIT
  for (let left = endAt - performance.now(); left > 0; left = endAt - performance.now()) {
    client.write('1\r\na\r\n')
    await new Promise((resolve) => setTimeout(resolve, LIMIT / 10))
  }
  client.write('0\r\n\r\n')

  await client.until('ok\r\n0\r\n\r\n')
  await gateway.idle()
})

test('a head that stops half-way is a 504', async (t) => {
  const { url } = await startRawTarget(t, always('HTTP/1.1 200 OK\r\nContent-Le').onSocket)
  const gateway = await startGateway(t, [url], { upstream: { timeouts: { ...NONE, response: LIMIT } } })

  assertError(await send(gateway.port), 504, 'FST_GATEWAY_RESPONSE_TIMEOUT')
})

test('timeouts.total holds over all attempts together', async (t) => {
  const urls = [await startRawTarget(t, silent().onSocket), await startRawTarget(t, silent().onSocket)]
  const upstream = { timeouts: { ...NONE, response: 70, total: 150 }, retry: { attempts: 9, on: ['timeout' as const] } }
  const targets = [...urls, await startRawTarget(t, silent().onSocket)].map(({ url }) => url)
  const gateway = await startGateway(t, targets, { upstream })

  const [reply, elapsed] = await timed(send(gateway.port))

  assertError(reply, 504, 'FST_GATEWAY_TOTAL_TIMEOUT')
  assertWithin(elapsed, 150)
  await gateway.idle()
})
