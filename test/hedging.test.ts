import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { Hedging } from '../plugins/proxy/forwarding/hedging.ts'
import { eventually, RawClient, send, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

const HEDGE: UpstreamSketch = { strategy: 'round-robin', hedge: { enabled: true } }

test('the delay is the quantile of the latencies seen, within 5 %', () => {
  const hedging = new Hedging(0.95)
  for (let i = 1; i <= 1_000; i++) hedging.record(i)

  const delay = hedging.delay()

  assert.ok(delay !== undefined && delay >= 950 && delay <= 1_000, `${delay}`)
})

test('nothing is hedged before 20 latencies are known', () => {
  const hedging = new Hedging(0.95)
  for (let i = 0; i < 19; i++) hedging.record(5)

  assert.equal(hedging.delay(), undefined)
  hedging.record(5)
  assert.notEqual(hedging.delay(), undefined)
})

test('what was long ago fades from the quantile', () => {
  const hedging = new Hedging(0.5)
  for (let i = 0; i < 5_000; i++) hedging.record(1_000)
  for (let i = 0; i < 5_000; i++) hedging.record(10)

  assert.ok((hedging.delay() ?? 1_000) < 12)
})

test('latencies beyond both ends of the histogram are counted', () => {
  const hedging = new Hedging(0.5)
  for (let i = 0; i < 20; i++) hedging.record(0)
  for (let i = 0; i < 10; i++) hedging.record(1e12)

  assert.ok((hedging.delay() ?? 1) <= 0.1)
})

/** A pair of targets that answer at once, until they are told to hold their answers back. */
async function startPair(t: TestContext) {
  const pair = { holding: false, held: [] as ServerResponse[], gone: 0, bodies: [] as string[] }
  const urls: string[] = []
  for (let i = 0; i < 2; i++) {
    const { url } = await startTarget(t, async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      pair.bodies.push(body)
      response.on('close', () => {
        if (!response.writableFinished) pair.gone++
      })
      if (pair.holding && pair.held.length === 0) pair.held.push(response)
      else response.end('quick')
    })
    urls.push(url)
  }
  return { pair, urls }
}

test('a slow attempt is overtaken by a second one at another target, and then cancelled', async (t) => {
  const { pair, urls } = await startPair(t)
  const gateway = await startGateway(t, urls, { upstream: HEDGE })
  for (let i = 0; i < 30; i++) await send(gateway.port)
  pair.holding = true

  const reply = await send(gateway.port)

  assert.deepEqual([reply.status, reply.body.toString(), pair.held.length], [200, 'quick', 1])
  await eventually(() => pair.gone === 1, 'the slow attempt goes on')
  await gateway.idle()
})

test('a body that was kept goes to both targets whole', async (t) => {
  const { pair, urls } = await startPair(t)
  const gateway = await startGateway(t, urls, { upstream: HEDGE })
  for (let i = 0; i < 30; i++) await send(gateway.port)
  pair.holding = true
  pair.bodies.length = 0

  const reply = await send(gateway.port, { method: 'PUT' }, 'some data')

  assert.equal(reply.body.toString(), 'quick')
  assert.deepEqual(pair.bodies, ['some data', 'some data'])
})

test('a body that is not whole yet when its time is up is hedged once it is', async (t) => {
  let begun = 0
  const urls: string[] = []
  for (let i = 0; i < 2; i++) {
    const { url } = await startTarget(t, (request, response) => {
      request.resume()
      if (request.method !== 'PUT' || ++begun === 2) request.on('end', () => response.end('quick'))
    })
    urls.push(url)
  }
  const gateway = await startGateway(t, urls, { upstream: HEDGE })
  const warm = async () => {
    for (let i = 0; i < 30; i++) await send(gateway.port)
  }
  await warm()
  const client = new RawClient(t, gateway.port)

  client.write('PUT / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 4\r\n\r\nha')
  await eventually(() => begun === 1, 'not under way')
  await warm()
  client.write('lf')

  assert.match(await client.until('quick'), /^HTTP\/1.1 200/)
  assert.equal(begun, 2)
})

test('the first attempt wins if it is answered before the second', async (t) => {
  const responses: ServerResponse[] = []
  let holding = false
  const urls: string[] = []
  for (let i = 0; i < 2; i++) {
    const { url } = await startTarget(t, (_request, response) => {
      if (holding) responses.push(response)
      else response.end('quick')
    })
    urls.push(url)
  }
  const gateway = await startGateway(t, urls, { upstream: HEDGE })
  for (let i = 0; i < 30; i++) await send(gateway.port)
  holding = true

  const reply = send(gateway.port)
  await eventually(() => responses.length === 2, 'no second attempt')
  responses[0]?.end('first')

  assert.equal((await reply).body.toString(), 'first')
  await gateway.idle()
})

test('when one of two attempts fails, the other one answers', async (t) => {
  const responses: ServerResponse[] = []
  let holding = false
  const urls: string[] = []
  for (let i = 0; i < 2; i++) {
    const { url } = await startTarget(t, (_request, response) => {
      if (holding) responses.push(response)
      else response.end('quick')
    })
    urls.push(url)
  }
  const gateway = await startGateway(t, urls, { upstream: { ...HEDGE, retry: { attempts: 0 } } })
  for (let i = 0; i < 30; i++) await send(gateway.port)
  holding = true

  for (const loser of [0, 1]) {
    responses.length = 0
    const reply = send(gateway.port)
    await eventually(() => responses.length === 2, 'no second attempt')
    responses[loser]?.socket?.resetAndDestroy()
    responses[1 - loser]?.end('other')

    assert.equal((await reply).body.toString(), 'other')
    await gateway.idle()
  }
})

test('POST is never hedged', async (t) => {
  const { pair, urls } = await startPair(t)
  const gateway = await startGateway(t, urls, { upstream: { ...HEDGE, timeouts: { response: 150 } } })
  for (let i = 0; i < 30; i++) await send(gateway.port)
  pair.holding = true
  pair.bodies.length = 0

  const reply = await send(gateway.port, { method: 'POST' }, 'once')

  assert.equal(reply.status, 504)
  assert.deepEqual(pair.bodies, ['once'])
})
