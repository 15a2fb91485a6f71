import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import health from '../plugins/health/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { FakeTime } from './health-helper.ts'
import { startTarget } from './helper.ts'

/** YARP PassiveHealthCheckTests, IncompleteClientRequests. */
for (const { name, bytes, leave } of [
  {
    name: 'leaves within its upload',
    bytes: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc',
    leave: (client: RawClient) => client.socket.destroy()
  },
  {
    name: 'resets its connection before the answer',
    bytes: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    leave: (client: RawClient) => client.socket.resetAndDestroy()
  },
  {
    name: 'sends a malformed body',
    bytes: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    leave: (client: RawClient) => client.write('zz\r\n\r\n')
  }
]) {
  test(`passive-client-abort (YARP PassiveHealthCheckTests): a client that ${name} is not held against the target`, async (t) => {
    let arrived = 0
    const target = await startTarget(t, (request, response) => {
      arrived++
      request.on('error', () => {})
      if (request.url === '/after') response.end('ok')
    })
    const { app, port, idle } = await startGateway(t, [
      { url: target.url, maxFails: 1 },
      { url: 'http://127.0.0.1:9', down: true }
    ])
    const [first] = app.balancers.get('users').targets

    for (let times = 1; times <= 3; times++) {
      const client = new RawClient(t, port)
      client.write(bytes)
      await eventually(() => arrived === times, 'the request does not arrive')
      leave(client)
      await idle()
    }

    assert.equal(first?.fails, 0)
    assert.equal((await send(port, { path: '/after' })).body.toString(), 'ok')
  })
}

test('passive-rate (YARP TransportFailureRateHealthPolicyTests): a target that fails too often in 60 s, of enough requests, is left out for 60 s', async (t) => {
  const failing = await startTarget(t, (_request, response) => response.writeHead(503).end())
  const sound = await startTarget(t, (_request, response) => response.end())
  const ejection = { base: '60s', share: 0.5 }
  const rate = { consecutiveFailures: 0, deviation: 0, failureRate: 0.3, window: '60s', minRequests: 10 }
  const targets = [failing.url, sound.url].map((url) => ({ url, maxFails: 0 }))
  const upstreams = {
    users: { targets, retry: { attempts: 0 }, health: { passive: { enabled: true, ...rate, ejection } } }
  }
  const app = Fastify()
  t.after(() => app.close())
  const time = new FakeTime()
  await app.register(proxy, { upstreams, routes: [{ upstream: 'users' }] })
  await app.register(health, { upstreams, now: time.now, schedule: time.schedule })
  const failures = async (requests: number) => {
    let failed = 0
    for (let sent = 0; sent < requests; sent++) if ((await app.inject('/')).statusCode === 503) failed++
    return failed
  }

  const beforeEnough = await failures(18)
  const isLeftOut = () => app.balancers.get('users').targets[0]?.has('ejected')
  const early = isLeftOut()
  await failures(2)
  time.advance(1_000)
  const then = isLeftOut()
  const whileOut = await failures(10)
  time.advance(61_000)
  const back = await failures(4)

  assert.deepEqual([beforeEnough, early, then, whileOut, back], [9, false, true, 0, 2])
})
