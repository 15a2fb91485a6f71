import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { eventually, RawClient, type Reply, type RunningGateway, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

/** A target that says its name, answers to `/held` when it is told to, and drops every third `/close`. */
class NamedTarget {
  readonly held: ServerResponse[] = []
  hits = 0
  url = ''
  readonly name: string
  #closes = 0

  constructor(name: string) {
    this.name = name
  }

  async start(t: TestContext): Promise<this> {
    const { url } = await startTarget(t, (request, response) => {
      if (request.url === '/close' && this.name === 'a' && ++this.#closes % 3 === 0) {
        request.socket.destroy()
        return
      }
      this.hits++
      // On a kept connection, the one dropped would pass for stale, and be sent again to the same target.
      if (request.url === '/close') response.setHeader('connection', 'close')
      if (request.url === '/held') this.held.push(response)
      else response.end(this.name)
    })
    this.url = url
    return this
  }

  /** Answers the request that has been held for the longest time. */
  release(): void {
    this.held.shift()?.end(this.name)
  }
}

interface Setup {
  gateway: RunningGateway
  targets: NamedTarget[]
}

async function start(
  t: TestContext,
  strategy: string | { name: string; [option: string]: unknown },
  options: object[],
  upstream: object = {}
): Promise<Setup> {
  const targets = await Promise.all(options.map((_, index) => new NamedTarget('abcdef'[index] ?? '').start(t)))
  const list = targets.map(({ url }, index) => ({ url, ...options[index] }))
  return { gateway: await startGateway(t, list, { upstream: { strategy, ...upstream } }), targets }
}

/** Sends requests that are held, each once the one before has arrived at a target or was refused. */
async function hold({ gateway, targets }: Setup, count: number): Promise<{ replies: Promise<Reply>[]; order: string }> {
  const replies: Promise<Reply>[] = []
  let order = ''
  for (let index = 0; index < count; index++) {
    const before = targets.map(({ hits }) => hits)
    let refused = false
    const reply = send(gateway.port, { path: '/held' })
    // What is held to the end of a test is cut then.
    reply.then(
      ({ status }) => {
        refused ||= status === 503
      },
      () => {}
    )
    replies.push(reply)
    const arrived = () => targets.find(({ hits }, at) => hits > (before[at] ?? 0))
    await eventually(() => refused || arrived() !== undefined, 'a request got nowhere')
    order += arrived()?.name ?? '-'
  }
  return { replies, order }
}

async function names(gateway: RunningGateway, paths: readonly string[]): Promise<string> {
  let order = ''
  for (const path of paths) order += (await send(gateway.port, { path })).body.toString()
  return order
}

test('rr-4-order (HAProxy balance-rr.vtc): eight connections go to four targets in order, twice', async (t) => {
  const { gateway } = await start(t, 'round-robin', [{}, {}, {}, {}])

  assert.equal(await names(gateway, Array(8).fill('/')), 'abcdabcd')
})

for (const strategy of ['round-robin', 'smooth-weighted-round-robin']) {
  test(`rr-max-fails (nginx upstream.t, ${strategy}): a target that drops every third request is out after its third failure`, async (t) => {
    const { gateway, targets } = await start(t, strategy, [{ maxFails: 3, failTimeout: '10s' }, { maxFails: 3 }], {
      retry: { attempts: 1, backoff: { base: 0 } }
    })

    const order = await names(gateway, Array(30).fill('/close'))

    assert.equal(order.length, 30)
    assert.deepEqual(
      targets.map(({ hits }) => hits),
      [6, 24]
    )
  })
}

test('least-conn-balanced (nginx upstream_least_conn.t): ten requests one after the other are shared evenly', async (t) => {
  const { gateway } = await start(t, { name: 'least-connections', compat: 'nginx' }, [{}, {}])

  assert.equal(await names(gateway, Array(10).fill('/')), 'ababababab')
})

test('least-conn-balanced: so they are with ties at random, as near as chance allows', async (t) => {
  const { gateway, targets } = await start(t, 'least-connections', [{}, {}])

  await names(gateway, Array(100).fill('/'))

  // 50 and 50, give or take six standard deviations.
  assert.ok(targets.every(({ hits }) => hits > 20))
})

for (const strategy of ['hash', 'consistent-hash', 'maglev', 'rendezvous', 'jump-hash', 'bounded-consistent-hash']) {
  test(`hash-stable (nginx upstream_hash.t, ${strategy}): equal keys go to the same target, and keys to all`, async (t) => {
    const { gateway } = await start(t, strategy, [{}, {}, {}], { hashKey: 'query:a' })

    const same = await names(gateway, Array(10).fill('/?a=1'))
    const others = await names(
      gateway,
      Array.from({ length: 30 }, (_, index) => `/?a=${index}`)
    )

    assert.equal(new Set(same).size, 1)
    assert.deepEqual(new Set(others), new Set('abc'))
  })
}

test('random-two-busy (nginx upstream_random.t): while a request is held at one of two, the next goes to the other', async (t) => {
  const setup = await start(t, 'p2c', [{}, {}])
  const { order } = await hold(setup, 1)

  const next = await names(setup.gateway, Array(8).fill('/'))

  assert.equal(next, (order === 'a' ? 'b' : 'a').repeat(8))
})

test('random-weight (nginx upstream_random.t): three at once are shared by weights of 1 and 2', async (t) => {
  const setup = await start(t, 'p2c', [{ weight: 1 }, { weight: 2 }])

  const { order } = await hold(setup, 3)

  assert.equal([...order].sort().join(''), 'abb')
})

for (const { strategy, tolerance } of [
  { strategy: 'smooth-weighted-round-robin', tolerance: 0 },
  { strategy: 'random', tolerance: 0.12 }
]) {
  test(`weights-split (Gateway API HTTPRouteWeight, ${strategy}): 500 requests are shared as 70, 30 and 0`, async (t) => {
    const { gateway, targets } = await start(t, strategy, [{ weight: 70 }, { weight: 30 }, { weight: 0 }])

    await Promise.all(Array.from({ length: 10 }, () => names(gateway, Array(50).fill('/'))))

    const [first = 0, second = 0, third = 0] = targets.map(({ hits }) => hits / 500)
    assert.equal(third, 0)
    assert.ok(Math.abs(first - 0.7) <= tolerance && Math.abs(second - 0.3) <= tolerance, `${first} ${second}`)
  })
}

test('max-conns-single (nginx upstream_max_conns.t): three are served at once, and the fourth is refused', async (t) => {
  const setup = await start(t, 'round-robin', [{ maxConnections: 3 }])
  const [target] = setup.targets

  const { replies, order } = await hold(setup, 4)
  for (let count = 0; count < 3; count++) target?.release()

  assert.equal(order, 'aaa-')
  assert.deepEqual(
    (await Promise.all(replies)).map(({ status }) => status),
    [200, 200, 200, 503]
  )
})

test('max-conns-single: with a queue, the fourth waits for one of the three', async (t) => {
  const setup = await start(t, 'round-robin', [{ maxConnections: 3 }], { queue: { size: 1 } })
  const [target] = setup.targets
  const { replies } = await hold(setup, 3)

  const fourth = send(setup.gateway.port, { path: '/held' })
  target?.release()
  await eventually(() => target?.hits === 4, 'the fourth request still waits')
  for (let count = 0; count < 3; count++) target?.release()

  assert.deepEqual(
    (await Promise.all([...replies, fourth])).map(({ status }) => status),
    [200, 200, 200, 200]
  )
})

test('max-conns-backup (nginx upstream_max_conns.t): what a full primary cannot take goes to the backup', async (t) => {
  const { order } = await hold(await start(t, 'round-robin', [{ maxConnections: 2 }, { backup: true }]), 6)

  assert.equal(order, 'aabbbb')
})

test('max-conns-backup: a backup may be full as well', async (t) => {
  const setup = await start(t, 'round-robin', [{ maxConnections: 2 }, { backup: true, maxConnections: 3 }])

  const { order } = await hold(setup, 6)

  assert.equal(order, 'aabbb-')
})

for (const strategy of ['smooth-weighted-round-robin', 'least-connections', 'p2c', 'random']) {
  test(`max-conns-weight (nginx upstream_max_conns.t, ${strategy}): weight does not raise the limit`, async (t) => {
    const setup = await start(t, strategy, [{ weight: 2, maxConnections: 1 }, {}])

    const { order } = await hold(setup, 6)

    assert.equal([...order].filter((name) => name === 'a').length <= 1, true)
    assert.equal(order.includes('-'), false)
  })
}

test('max-conns-subtraction (nginx upstream_max_conns.t): a request that ends makes room for another', async (t) => {
  const setup = await start(t, 'round-robin', [{ maxConnections: 3 }, { backup: true }])
  const [target] = setup.targets
  const first = await hold(setup, 2)

  target?.release()
  await first.replies[0]
  const then = await hold(setup, 3)

  assert.equal(first.order + then.order, 'aaaab')
})

test('max-conns-subtraction: so does a client that leaves', async (t) => {
  const setup = await start(t, 'round-robin', [{ maxConnections: 2 }, { backup: true }])
  const [target] = setup.gateway.app.balancers.get('users').targets
  const client = new RawClient(t, setup.gateway.port)
  client.write('GET /held HTTP/1.1\r\nhost: a\r\n\r\n')
  await eventually(() => setup.targets[0]?.hits === 1, 'the request did not arrive')
  const { order } = await hold(setup, 2)

  client.socket.destroy()
  await eventually(() => target?.inFlight === 1, 'the place is still taken')
  const then = await hold(setup, 2)

  assert.equal(order + then.order, 'abab')
})

test('max-conns-subtraction: so does an attempt that fails and is made again elsewhere', async (t) => {
  const setup = await start(t, 'round-robin', [{ maxConnections: 1, maxFails: 0 }, {}], {
    retry: { attempts: 1, backoff: { base: 0 } }
  })
  // The third request of this kind is dropped.
  assert.equal(await names(setup.gateway, Array(4).fill('/close')), 'abab')

  const retried = await names(setup.gateway, ['/close'])
  const { order } = await hold(setup, 3)

  assert.equal(retried, 'b')
  assert.equal(order, 'abb')
})

test('sticky-drain (nginx upstream_sticky_drain.t): a draining target serves its sessions on, and new ones go elsewhere', async (t) => {
  const strategy = { name: 'sticky', secret: 'a secret of some length', cookie: 'sid' }
  const { gateway } = await start(t, strategy, [{}, {}, {}])
  const [first] = gateway.app.balancers.get('users').targets
  const opened = await send(gateway.port)
  const [line = ''] = opened.headers['set-cookie'] ?? []
  const headers = { cookie: line.slice(0, line.indexOf(';')) }
  assert.ok(first)

  first.draining = true
  const old = await Promise.all(Array.from({ length: 3 }, () => send(gateway.port, { headers })))
  const fresh = await names(gateway, Array(8).fill('/'))

  assert.equal(opened.body.toString(), 'a')
  assert.deepEqual(
    old.map(({ body }) => body.toString()),
    ['a', 'a', 'a']
  )
  assert.deepEqual(new Set(fresh), new Set('bc'))
})

test('p2c (YARP LoadBalancingPoliciesTests): of two different targets drawn, the less loaded is picked', async (t) => {
  const setup = await start(t, 'p2c', [{}, {}, {}])
  const balancer = setup.gateway.app.balancers.get('users')
  const [busiest, busy] = balancer.targets
  assert.ok(busiest && busy)
  for (const target of [busiest, busiest, busiest, busiest, busy, busy]) balancer.acquire(target)

  const order = await names(setup.gateway, Array(90).fill('/'))
  const share = (name: string) => [...order].filter((each) => each === name).length / 90

  // The busiest is never the less loaded of two; the next one is when the third is not drawn.
  assert.equal(share('a'), 0)
  assert.ok(share('b') > 0.1 && share('b') < 0.6, `${share('b')}`)
})
