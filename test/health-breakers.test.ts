import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import type { GatewayOptions } from '../plugins/config/index.ts'
import health from '../plugins/health/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { seeded } from './balancer-helper.ts'
import { eventually } from './forwarding-helper.ts'
import { FakeTime } from './health-helper.ts'
import { portOf, startTarget } from './helper.ts'

const UPSTREAM = { retry: { attempts: 0 } }
const BREAKER = { enabled: true, minRequests: 4, window: '10s', openFor: '10s', recovery: '10s' }

interface Running {
  readonly app: FastifyInstance
  readonly time: FakeTime
  readonly story: string[]
  /** Statuses of so many requests, one after the other. */
  get(requests: number): Promise<number[]>
}

/** A gateway for the upstream `users`; the clock of its health stands still. */
async function start(t: TestContext, upstreams: NonNullable<GatewayOptions['upstreams']>): Promise<Running> {
  const app = Fastify()
  t.after(() => app.close())
  const time = new FakeTime()
  await app.register(proxy, { upstreams, routes: [{ match: { path: '/*' }, upstream: 'users' }] })
  await app.register(health, { upstreams, now: time.now, schedule: time.schedule, random: seeded(3) })
  const story: string[] = []
  app.health.on('change', ({ target, what }) => story.push(`${what} ${target === undefined ? 'upstream' : 'target'}`))
  return {
    ...{ app, time, story },
    async get(requests) {
      const statuses: number[] = []
      for (let left = requests; left > 0; left--) statuses.push((await app.inject('/')).statusCode)
      return statuses
    }
  }
}

test('the open breaker of an upstream turns requests away, says when to come back, and asks no target', async (t) => {
  let requests = 0
  const { url } = await startTarget(t, (_request, response) => {
    requests++
    response.writeHead(500).end()
  })
  const { app, time, get, story } = await start(t, {
    users: { ...UPSTREAM, targets: [url], circuitBreaker: { upstream: BREAKER } }
  })

  assert.deepEqual(await get(4), [500, 500, 500, 500])
  time.advance(3_500)
  const { statusCode, headers, body } = await app.inject('/')

  assert.deepEqual([statusCode, headers['retry-after'], requests], [503, '7', 4])
  assert.equal(JSON.parse(body).code, 'FST_GATEWAY_CIRCUIT_OPEN')
  assert.equal(body.includes('127.0.0.1'), false)
  assert.deepEqual(story, ['opened upstream'])
})

test('an upstream that is well again gets more and more requests, and then all', async (t) => {
  let status = 500
  const { url } = await startTarget(t, (_request, response) => void response.writeHead(status).end())
  const { time, get, story } = await start(t, {
    users: { ...UPSTREAM, targets: [url], circuitBreaker: { upstream: BREAKER } }
  })
  const served = async () => (await get(100)).filter((each) => each === 200).length

  await get(4)
  status = 200
  time.advance(10_000)
  time.advance(2_000)
  const few = await served()
  time.advance(6_000)
  const many = await served()
  time.advance(2_000)

  assert.ok(few >= 5 && few <= 40, `${few} of 100 at a fifth of the time`)
  assert.ok(many >= 60 && many <= 95, `${many} of 100 at four fifths of it`)
  assert.equal(await served(), 100)
  assert.deepEqual(story, ['opened upstream', 'recovering upstream', 'closed upstream'])
})

test('while the breaker of an upstream is open, its failover stands in', async (t) => {
  const { url: bad } = await startTarget(t, (_request, response) => void response.writeHead(500).end())
  const { url: good } = await startTarget(t, (_request, response) => void response.writeHead(200).end())
  const { get } = await start(t, {
    users: { ...UPSTREAM, targets: [bad], failover: 'spare', circuitBreaker: { upstream: BREAKER } },
    spare: { targets: [good] }
  })

  assert.deepEqual(await get(6), [500, 500, 500, 500, 200, 200])
})

test('the breaker of a target puts it out of use, and lets it return', async (t) => {
  let status = 500
  const { url: bad } = await startTarget(t, (_request, response) => void response.writeHead(status).end())
  const { url: good } = await startTarget(t, (_request, response) => void response.writeHead(200).end())
  const { app, time, get, story } = await start(t, {
    users: { ...UPSTREAM, targets: [bad, good], circuitBreaker: { target: BREAKER } }
  })
  const [target] = app.balancers.get('users').targets

  await get(8)
  assert.equal(target?.has('open'), true)
  assert.deepEqual(new Set(await get(10)), new Set([200]))
  assert.equal(app.health.snapshot().users?.targets[0]?.open, true)
  status = 200
  time.advance(10_000)
  assert.equal(target?.has('open'), false)
  assert.ok((target?.ramp ?? 0) < 256, 'the target has its whole weight at once')
  time.advance(10_000)

  assert.deepEqual(story, ['opened target', 'recovering target', 'closed target'])
  assert.deepEqual(app.health.snapshot().users?.events, { opened: 1, recovering: 1, closed: 1 })
})

test('responses that take long to begin count as failures where slowAfter says so', async (t) => {
  const { url } = await startTarget(t, (_request, response) => void setTimeout(() => response.end('late'), 30))
  const { get } = await start(t, {
    users: { ...UPSTREAM, targets: [url], circuitBreaker: { upstream: { ...BREAKER, slowAfter: '5ms' } } }
  })

  assert.deepEqual(await get(6), [200, 200, 200, 200, 503, 503])
})

test('a target is back when openFor is over, however long the window is; one that has left is not heard of', async (t) => {
  const { url } = await startTarget(t, (_request, response) => void response.writeHead(500).end())
  const { app, time, get, story } = await start(t, {
    users: {
      targets: [url, url.replace('127.0.0.1', 'localhost')],
      circuitBreaker: { target: { ...BREAKER, window: '60s', openFor: '1s' } }
    }
  })
  const users = app.balancers.get('users')
  const ofTargets = () => story.filter((each) => each.endsWith('target'))

  await get(8)
  assert.deepEqual(ofTargets(), ['opened target', 'opened target'])
  users.remove(url)
  time.advance(999)
  assert.equal(users.targets[0]?.has('open'), true)
  time.advance(1)

  assert.equal(users.targets[0]?.has('open'), false)
  assert.deepEqual(ofTargets().slice(2), ['recovering target'])
})

test('an upstream that mostly takes long to begin its responses is turned away from, and its snapshot says so', async (t) => {
  const { url } = await startTarget(t, (_request, response) => void setTimeout(() => response.end('late'), 30))
  const upstream = { ...BREAKER, failureRate: 0, slowRate: 0.8, slowAfter: '5ms' }
  const { app, time, get } = await start(t, { users: { targets: [url], circuitBreaker: { upstream } } })
  const reasons: string[] = []
  app.health.on('change', ({ reason }) => reasons.push(reason))

  assert.equal(app.health.snapshot().users?.circuit, 'closed')
  assert.deepEqual(await get(5), [200, 200, 200, 200, 503])
  assert.equal(app.health.snapshot().users?.circuit, 'open')
  time.advance(15_000)

  assert.equal(app.health.snapshot().users?.circuit, 'recovering')
  assert.deepEqual(reasons, ['too many slow responses; for 10000 ms', '10000 ms are over'])
})

test('an only target is ejected where another upstream stands in, and stays where nobody does', async (t) => {
  const { url: bad } = await startTarget(t, (_request, response) => void response.writeHead(500).end())
  const { url: good } = await startTarget(t, (_request, response) => void response.writeHead(200).end())
  const health = { passive: { enabled: true, consecutiveFailures: 2 } }
  const users = { targets: [bad], health }
  const { get } = await start(t, { users: { ...users, failover: 'spare' }, spare: { targets: [good] } })
  const { get: getAlone } = await start(t, { users: { ...users, panicThreshold: 0 } })

  assert.deepEqual(await get(4), [500, 500, 200, 200])
  assert.deepEqual(await getAlone(4), [500, 500, 500, 500])
})

test('a target that fails again and again is ejected, which is told, logged and counted', async (t) => {
  const { url: bad } = await startTarget(t, (request) => void request.socket.destroy())
  const { url: good } = await startTarget(t, (_request, response) => void response.writeHead(200).end())
  const { app, time, get, story } = await start(t, {
    users: {
      targets: [{ url: bad, maxFails: 0 }, good, `${good.replace('127.0.0.1', 'localhost')}`],
      health: { passive: { enabled: true, consecutiveFailures: 3 } }
    }
  })
  const [target] = app.balancers.get('users').targets

  // Each failed attempt is tried again elsewhere.
  assert.deepEqual(new Set(await get(20)), new Set([200]))
  assert.deepEqual(story, ['ejected target'])
  assert.equal(target?.has('ejected'), true)
  time.advance(30_000)

  assert.deepEqual(story, ['ejected target', 'readmitted target'])
  assert.deepEqual(app.health.snapshot().users?.events, { ejected: 1, readmitted: 1 })
})

for (const endedByCheck of [true, false]) {
  test(`one successful check ${endedByCheck ? 'ends' : 'does not end'} an ejection where endedByCheck is ${endedByCheck}`, async (t) => {
    let checks = 0
    const { url } = await startTarget(t, (request, response) => {
      const isCheck = request.url === '/health'
      if (isCheck) checks++
      response.writeHead(isCheck ? 200 : 500).end()
    })
    const { app, time, get, story } = await start(t, {
      users: {
        targets: [url],
        health: {
          active: { path: '/health', interval: '1s', jitter: 0 },
          passive: { enabled: true, consecutiveFailures: 2, ejection: { endedByCheck } }
        }
      }
    })
    const count = (what: string) => story.filter((each) => each === `${what} target`).length

    await app.ready()
    await eventually(() => count('healthy') === 1, 'the first check has no result')
    await get(2)
    assert.equal(count('ejected'), 1)
    for (let round = 2; round <= 4; round++) {
      await eventually(() => {
        if (checks < round) time.advance(1_000)
        return checks === round
      }, 'there is no further check')
    }

    // Of three further checks, two have ended before the last one began.
    assert.equal(count('readmitted'), endedByCheck ? 1 : 0)
  })
}

test('clients that leave eject no target and open no breaker', async (t) => {
  let arrived = 0
  const { url } = await startTarget(t, () => {
    arrived++
  })
  const { app, story } = await start(t, {
    users: {
      targets: [url],
      health: { passive: { enabled: true, consecutiveFailures: 1 } },
      circuitBreaker: { upstream: { ...BREAKER, minRequests: 1 }, target: { ...BREAKER, minRequests: 1 } }
    }
  })
  await app.listen({ host: '127.0.0.1', port: 0 })

  for (let left = 5; left > 0; left--) {
    const before = arrived
    const leaving = new AbortController()
    const gone = fetch(`http://127.0.0.1:${portOf(app.server)}/`, { signal: leaving.signal }).catch(() => {})
    await eventually(() => arrived > before, 'the request does not arrive')
    leaving.abort()
    await gone
  }
  const [target] = app.balancers.get('users').targets
  await eventually(() => target?.inFlight === 0, 'an attempt stays in flight')

  assert.deepEqual(story, [])
})

test('more requests than a whole upstream may have at once wait, or are turned away', async (t) => {
  const waiting: (() => void)[] = []
  const answer: RequestListener = (_request, response) => waiting.push(() => response.end())
  const targets = [(await startTarget(t, answer)).url, (await startTarget(t, answer)).url]
  const { app } = await start(t, {
    users: { targets, maxConnections: 2, queue: { size: 1 } }
  })

  const replies = [1, 2, 3].map(() => app.inject('/'))
  await eventually(() => waiting.length === 2, 'the requests do not arrive')
  const refused = await app.inject('/')
  for (const release of waiting.splice(0)) release()
  await eventually(() => waiting.length === 1, 'the request that waited does not arrive')
  waiting[0]?.()

  assert.equal(refused.json().code, 'FST_GATEWAY_QUEUE_FULL')
  assert.deepEqual(
    (await Promise.all(replies)).map(({ statusCode }) => statusCode),
    [200, 200, 200]
  )
})
