import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import balancer, { type Outcome, type StrategyFactory, type Target } from '../plugins/balancer/index.ts'
import { eventually, RawClient, type RunningGateway, send, startGateway } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'

interface Observation {
  outcome: Outcome
  milliseconds: number | undefined
}

/** A strategy that takes the first target of the list, and keeps what it observes. */
function recorder(latency: boolean): { factory: StrategyFactory; seen: Observation[] } {
  const seen: Observation[] = []
  const factory: StrategyFactory = {
    name: 'recorder',
    create(_options, { now }) {
      const targets: Target[] = []
      return {
        needs: { latency },
        add: (target) => void targets.push(target),
        remove: (target) => void targets.splice(targets.indexOf(target), 1),
        get: (context) => targets.find((target) => target.isAvailable(context, now)),
        observe: (_target, outcome, milliseconds) => void seen.push({ outcome, milliseconds })
      }
    }
  }
  return { factory, seen }
}

async function startRecorded(
  t: TestContext,
  url: string,
  latency = true
): Promise<{ gateway: RunningGateway; seen: Observation[] }> {
  const { factory, seen } = recorder(latency)
  const { url: other } = await startTarget(t, (_request, response) => response.end('other'))
  const gateway = await startGateway(t, [{ url, maxFails: 0 }, other], {
    upstream: { strategy: 'recorder', retry: { attempts: 0 } },
    prepare: (app) => void app.register(balancer, { strategies: [factory] })
  })
  return { gateway, seen }
}

test('a strategy that asks for it learns how long the head of a response took, not its body', async (t) => {
  let finish = () => {}
  const { url } = await startTarget(t, (_request, response) => {
    setTimeout(() => response.write('head'), 30)
    finish = () => response.end()
  })
  const { gateway, seen } = await startRecorded(t, url)

  const client = new RawClient(t, gateway.port)
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  await eventually(() => client.text.includes('head'), 'no head')
  const headAt = performance.now()
  await eventually(() => performance.now() > headAt + 60, 'time stands still')
  finish()
  await eventually(() => client.closed === 'end', 'no end')

  const [{ outcome, milliseconds = 0 } = { outcome: 'failure' }] = seen
  assert.equal(outcome, 'success')
  assert.ok(milliseconds >= 29, `${milliseconds} ms`)
  // The body alone took longer than what the head may have been late.
  assert.ok(milliseconds < performance.now() - headAt + 30, `${milliseconds} ms`)
})

test('the time in which a client sends its body is not the target’s', async (t) => {
  const { url } = await startTarget(t, (request, response) => {
    request.resume()
    request.on('end', () => response.end('read'))
  })
  const { gateway, seen } = await startRecorded(t, url)

  const client = new RawClient(t, gateway.port)
  client.write('POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\na')
  const begun = performance.now()
  await eventually(() => performance.now() > begun + 100, 'time stands still')
  client.write('b')
  const sent = performance.now()
  await eventually(() => client.closed === 'end', 'no end')

  const [{ milliseconds = Number.NaN } = {}] = seen
  assert.ok(milliseconds <= performance.now() - sent, `${milliseconds} ms`)
})

test('a response by which a target says that it failed is an error, and no failure that puts it out', async (t) => {
  const { url } = await startTarget(t, (request, response) => {
    response.statusCode = Number(request.url?.slice(1))
    response.end()
  })
  const { gateway, seen } = await startRecorded(t, url)

  for (const status of [200, 404, 499, 500, 503]) await send(gateway.port, { path: `/${status}` })

  assert.deepEqual(
    seen.map(({ outcome }) => outcome),
    ['success', 'success', 'success', 'error', 'error']
  )
  assert.equal(gateway.app.balancers.get('users').targets[0]?.fails, 0)
})

test('an attempt that ends without a response is measured to its end', async (t) => {
  const { url } = await startTarget(t, (request) => setTimeout(() => request.socket.destroy(), 30))
  const { gateway, seen } = await startRecorded(t, url)

  const { status } = await send(gateway.port)

  assert.equal(status, 502)
  assert.equal(seen[0]?.outcome, 'failure')
  assert.ok((seen[0]?.milliseconds ?? 0) >= 29, `${seen[0]?.milliseconds} ms`)
})

test('of an upgrade, the time to the switch is measured, and not the life of the tunnel', async (t) => {
  const { url, sockets } = await startRawTarget(t, (socket) => {
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
    )
  })
  const { gateway, seen } = await startRecorded(t, url)

  const client = new RawClient(t, gateway.port)
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
  await eventually(() => client.text.includes('101'), 'no switch')
  for (const socket of sockets) socket.destroy()
  await eventually(() => seen.length === 2, 'the tunnel stays')

  assert.deepEqual([seen[0]?.outcome, typeof seen[0]?.milliseconds], ['success', 'number'])
  assert.equal(seen[1]?.milliseconds, undefined)
})

test('nothing is measured for a strategy that does not ask', async (t) => {
  const { url } = await startTarget(t, (_request, response) => response.end())
  const { gateway, seen } = await startRecorded(t, url, false)

  await send(gateway.port)

  assert.deepEqual(seen, [{ outcome: 'success', milliseconds: undefined }])
})
