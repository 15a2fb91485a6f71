import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { assertError, eventually, RawClient, send, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

/** A target that answers when it is told to. */
async function startHeld(t: TestContext) {
  const held: { path: string; response: ServerResponse }[] = []
  const { url } = await startTarget(t, (request, response) => held.push({ path: request.url ?? '', response }))
  const answer = () => held.shift()?.response.end('ok')
  const arrived = (count: number) => eventually(() => held.length === count, `not ${count} at the target`)
  return { held, url, answer, arrived }
}

/** A gateway with one target that takes one exchange at a time; counts who came and who left. */
async function startFull(t: TestContext, url: string, upstream: UpstreamSketch) {
  const seen = { arrived: 0, left: 0 }
  const gateway = await startGateway(t, [{ url, maxConnections: 1 }], {
    upstream,
    prepare(app) {
      app.addHook('onRequest', (_request, _reply, done) => {
        seen.arrived++
        done()
      })
      app.addHook('onRequestAbort', (_request, done) => {
        seen.left++
        done()
      })
    }
  })
  return { ...gateway, seen }
}

test('a request waits for a target that is full, and goes there when it has room', async (t) => {
  const target = await startHeld(t)
  const gateway = await startFull(t, target.url, { queue: { size: 1 } })
  const first = send(gateway.port)
  await target.arrived(1)

  const second = send(gateway.port)
  target.answer()
  assert.equal((await first).status, 200)
  await target.arrived(1)
  target.answer()

  assert.equal((await second).status, 200)
  await gateway.idle()
})

test('who came first is served first, and nobody overtakes those who wait', async (t) => {
  const target = await startHeld(t)
  const gateway = await startFull(t, target.url, { queue: { size: 10 } })
  const replies = [send(gateway.port, { path: '/0' })]
  await target.arrived(1)
  for (const path of ['/1', '/2', '/3']) {
    replies.push(send(gateway.port, { path }))
    await eventually(() => gateway.seen.arrived === replies.length, 'the request does not arrive')
  }

  const order: string[] = []
  for (let i = 0; i < 4; i++) {
    await target.arrived(1)
    order.push(target.held[0]?.path ?? '')
    target.answer()
  }

  assert.deepEqual(order, ['/0', '/1', '/2', '/3'])
  await Promise.all(replies)
})

test('a queue that is full is a 503 at once', async (t) => {
  const target = await startHeld(t)
  const gateway = await startFull(t, target.url, { queue: { size: 1 } })
  const first = send(gateway.port)
  await target.arrived(1)
  const second = send(gateway.port)
  await eventually(() => gateway.seen.arrived === 2, 'the request does not arrive')

  assertError(await send(gateway.port), 503, 'FST_GATEWAY_QUEUE_FULL')
  assert.equal(gateway.app.balancers.get('users').overflows, 1)
  target.answer()
  await target.arrived(1)
  target.answer()
  assert.deepEqual([(await first).status, (await second).status], [200, 200])
})

test('queue.timeout is a 503 within 100 ms of its limit', async (t) => {
  const target = await startHeld(t)
  const gateway = await startFull(t, target.url, { queue: { size: 1, timeout: 100 } })
  const first = send(gateway.port)
  await target.arrived(1)

  const start = performance.now()
  const reply = await send(gateway.port)
  const elapsed = performance.now() - start

  assertError(reply, 503, 'FST_GATEWAY_QUEUE_TIMEOUT')
  assert.ok(elapsed >= 100 && elapsed <= 200, `${elapsed} ms`)
  target.answer()
  assert.equal((await first).status, 200)
  await gateway.idle()
})

test('timeouts.total holds while a request waits', async (t) => {
  const target = await startHeld(t)
  const gateway = await startFull(t, target.url, { queue: { size: 1 }, timeouts: { total: 150 } })
  const first = send(gateway.port)
  await target.arrived(1)

  assertError(await send(gateway.port), 504, 'FST_GATEWAY_TOTAL_TIMEOUT')
  assert.equal((await first).status, 504)
  await gateway.idle()
})

test('a client that leaves the queue leaves its place to others, and no target hears of it', async (t) => {
  const target = await startHeld(t)
  const gateway = await startFull(t, target.url, { queue: { size: 1 } })
  const first = send(gateway.port, { path: '/first' })
  await target.arrived(1)
  const leaver = new RawClient(t, gateway.port)
  leaver.write('GET /leaver HTTP/1.1\r\nHost: gw.test\r\n\r\n')
  await eventually(() => gateway.seen.arrived === 2, 'the request does not arrive')

  leaver.socket.destroy()
  await eventually(() => gateway.seen.left === 1, 'the client does not leave')
  const last = send(gateway.port, { path: '/last' })
  await eventually(() => gateway.seen.arrived === 3, 'the request does not arrive')
  target.answer()
  await target.arrived(1)

  assert.equal(target.held[0]?.path, '/last')
  target.answer()
  assert.deepEqual([(await first).status, (await last).status], [200, 200])
})

test('nobody waits for targets that are down', async (t) => {
  const { url } = await startHeld(t)
  const gateway = await startGateway(t, [{ url, down: true, maxConnections: 1 }], { upstream: { queue: { size: 9 } } })

  assertError(await send(gateway.port), 503, 'FST_GATEWAY_NO_TARGET')
})

test('who waits goes to a target that is added, or put back, though no place becomes free', async (t) => {
  const [full, added, back] = [await startHeld(t), await startHeld(t), await startHeld(t)]
  const gateway = await startFull(t, full.url, { queue: { size: 9 } })
  const users = gateway.app.balancers.get('users')
  const arrived = (count: number) => eventually(() => gateway.seen.arrived === count, 'a request does not arrive')
  const first = send(gateway.port)
  await full.arrived(1)

  const second = send(gateway.port)
  await arrived(2)
  users.add({ url: back.url, down: true })
  users.add({ url: added.url, maxConnections: 1 })
  await added.arrived(1)
  const third = send(gateway.port)
  await arrived(3)
  users.setDown(back.url, false)
  await back.arrived(1)
  for (const target of [full, added, back]) target.answer()

  assert.deepEqual(
    (await Promise.all([first, second, third])).map(({ status }) => status),
    [200, 200, 200]
  )
})
