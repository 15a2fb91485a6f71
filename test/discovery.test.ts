import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { encode } from 'dns-packet'
import Fastify from 'fastify'
import gateway from '../app.ts'
import balancer, { type Balancer } from '../plugins/balancer/index.ts'
import type { GatewayOptions } from '../plugins/config/index.ts'
import { decodeServiceReply, encodeServiceQuery } from '../plugins/discovery/dns-message.ts'
import discovery from '../plugins/discovery/index.ts'
import { LookupError } from '../plugins/errors.ts'
import { seeded } from './balancer-helper.ts'
import { a, aaaa, type DnsServer, srv, startDns } from './dns-helper.ts'
import { eventually, send, startGateway } from './forwarding-helper.ts'
import { portOf, startTarget } from './helper.ts'

type Source = Record<string, unknown>

test('A and AAAA records are targets, in an order that is the same everywhere', async (t) => {
  const dns = await startDns(t, {
    'A users.test': [a('users.test', '127.0.0.9'), a('users.test', '127.0.0.2')],
    'AAAA users.test': [aaaa('users.test', '::1')]
  })

  const { users } = await discover(t, dns, { dns: 'users.test', port: 3000, weight: 7, maxConnections: 9 })

  assert.deepEqual(urlsOf(users), ['http://127.0.0.2:3000', 'http://127.0.0.9:3000', 'http://[::1]:3000'])
  for (const { weight, maxConnections, ramp } of users.targets) {
    assert.deepEqual([weight, maxConnections, ramp], [7, 9, 256])
  }
})

for (const [type, expected] of [
  ['a', ['http://127.0.0.2']],
  ['aaaa', ['http://[::1]']]
] as const) {
  test(`type ${type} asks for one family only, and the port may be left to the protocol`, async (t) => {
    const dns = await startDns(t, {
      'A users.test': [a('users.test', '127.0.0.2')],
      'AAAA users.test': [aaaa('users.test', '::1')]
    })

    const { users } = await discover(t, dns, { dns: 'users.test', type })

    assert.deepEqual(urlsOf(users), expected)
    assert.deepEqual(dns.asked, [`${type.toUpperCase()} users.test`])
  })
}

test('SRV records bring port, priority and weight', async (t) => {
  const name = '_http._tcp.users.test'
  const dns = await startDns(t, {
    [`SRV ${name}`]: [
      srv(name, 'one.test', 3001, { priority: 10, weight: 5 }),
      srv(name, 'two.test', 3002, { priority: 20, weight: 0 }),
      srv(name, 'gone.test', 3003)
    ],
    'A one.test': [a('one.test', '127.0.0.2'), a('one.test', '127.0.0.3')],
    'AAAA two.test': [aaaa('two.test', '::1')]
  })

  const { users } = await discover(t, dns, { dns: name, type: 'srv' })

  assert.deepEqual(
    users.targets.map(({ url, priority, weight }) => [url, priority, weight]),
    [
      ['http://127.0.0.2:3001', 10, 5],
      ['http://127.0.0.3:3001', 10, 5],
      ['http://[::1]:3002', 20, 1]
    ]
  )
})

test('SRV records that repeat an endpoint add up, and those of a lower priority do not count', async (t) => {
  const name = '_http._tcp.users.test'
  const dns = await startDns(t, {
    [`SRV ${name}`]: [
      srv(name, 'one.test', 3001, { priority: 1, weight: 5 }),
      srv(name, 'two.test', 3001, { priority: 1, weight: 2 }),
      srv(name, 'three.test', 3001, { priority: 2, weight: 9 })
    ],
    'A one.test': [a('one.test', '127.0.0.2')],
    'A two.test': [a('two.test', '127.0.0.2')],
    'A three.test': [a('three.test', '127.0.0.2')]
  })

  const { users } = await discover(t, dns, { dns: name, type: 'srv' })

  assert.deepEqual(
    users.targets.map(({ priority, weight }) => [priority, weight]),
    [[1, 7]]
  )
})

test('an answer that does not fit into a datagram is asked for by TCP', async (t) => {
  const name = '_http._tcp.users.test'
  const dns = await startDns(t, {
    [`SRV ${name}`]: 'truncated',
    [`full ${name}`]: Array.from({ length: 40 }, (_, index) => srv(name, 'one.test', 3000 + index)),
    'A one.test': [a('one.test', '127.0.0.2')]
  })

  const { users } = await discover(t, dns, { dns: name, type: 'srv' })

  assert.equal(users.targets.length, 40)
  assert.deepEqual(dns.asked.slice(0, 2), [`SRV ${name}`, `tcp SRV ${name}`])
})

test('the shortest TTL says when to look again, within bounds and with jitter', async (t) => {
  const name = '_http._tcp.users.test'
  const dns = await startDns(t, {
    'A users.test': [a('users.test', '127.0.0.2', 100), a('users.test', '127.0.0.3', 30)],
    'AAAA users.test': [aaaa('users.test', '::1', 200)],
    [`SRV ${name}`]: [srv(name, 'users.test', 3000, { ttl: 20 })]
  })
  const waitOf = async (source: Source) => (await discover(t, dns, source, { random: () => 0.5 })).waits[0]

  assert.equal(await waitOf({ dns: 'users.test' }), 30_000 * 1.05)
  assert.equal(await waitOf({ dns: name, type: 'srv' }), 20_000 * 1.05)
  assert.equal(await waitOf({ dns: 'users.test', maxTtl: '10s' }), 10_000 * 1.05)
  assert.equal(await waitOf({ dns: 'users.test', minTtl: '2m' }), 120_000 * 1.05)
  assert.equal(await waitOf({ dns: 'other.test', minTtl: '3s' }), 3_000 * 1.05)
})

test('changes are applied one by one: what stays is the same object, in the state that it had', async (t) => {
  const name = '_http._tcp.users.test'
  const service = (port: number, options = {}) => srv(name, 'one.test', port, { ttl: 0, ...options })
  const dns = await startDns(t, {
    [`SRV ${name}`]: [service(1, { weight: 3 }), service(2), service(3)],
    'A one.test': [a('one.test', '127.0.0.2', 0)]
  })
  const { users, again, lines } = await discover(t, dns, { dns: name, type: 'srv' }, { slowStart: { window: '1m' } })
  const [first, second, third] = users.targets
  assert.ok(first && second && third)
  for (const target of [first, second]) users.acquire(target)
  lines.length = 0

  dns.zone.set(`SRV ${name}`, [service(1, { weight: 8 }), service(3, { priority: 5 }), service(4)])
  await again()

  assert.deepEqual(
    users.targets.map(({ port, weight, priority, inFlight }) => [port, weight, priority, inFlight]),
    [
      [1, 8, 0, 1],
      [3, 1, 5, 0],
      [4, 1, 0, 0]
    ]
  )
  assert.equal(users.targets[0], first)
  assert.equal(second.removed, true)
  users.release(second, 'success')
  assert.equal(second.inFlight, 0)
  assert.equal(users.find('http://127.0.0.2:4')?.ramp, 25, 'who joins later starts slowly')
  const [line] = lines.map(({ added, removed, changed, upstream }) => ({ added, removed, changed, upstream }))
  assert.deepEqual(line, {
    added: ['http://127.0.0.2:4'],
    removed: ['http://127.0.0.2:2'],
    changed: ['http://127.0.0.2:1', 'http://127.0.0.2:3'],
    upstream: 'users'
  })
})

for (const failure of ['NXDOMAIN', 'SERVFAIL', 'silence', [], [srv('users.test', '.', 0)]] as const) {
  for (const type of ['address', 'srv'] as const) {
    if (type === 'address' && typeof failure !== 'string') continue
    test(`${type}: the last good answer is kept when the next one is ${JSON.stringify(failure)}`, async (t) => {
      const dns = await startDns(t, {
        'A users.test': [a('users.test', '127.0.0.2', 0)],
        'AAAA users.test': [],
        'SRV users.test': [srv('users.test', 'users.test', 80, { ttl: 0 })]
      })
      const port = type === 'srv' ? {} : { port: 80 }
      const timeout = failure === 'silence' ? '200ms' : '10s'
      const source = { dns: 'users.test', type, timeout, ...port }
      const { users, again, until, waits, lines } = await discover(t, dns, source)
      await until(['http://127.0.0.2:80'])
      lines.length = 0
      waits.length = 0

      for (const record of ['A', 'AAAA', 'SRV']) dns.zone.set(`${record} users.test`, failure)
      await again()
      await again()
      assert.deepEqual(urlsOf(users), ['http://127.0.0.2:80'])
      assert.deepEqual(waits, [10, 20], 'failures are repeated at growing intervals')
      assert.deepEqual(
        lines.map(({ level, err }) => [level, /^FST_GATEWAY_(LOOKUP|NO_RECORDS)$/.test(err?.code ?? '')]),
        [
          [40, true],
          [40, true]
        ]
      )

      dns.zone.set('A users.test', [a('users.test', '127.0.0.4', 0)])
      dns.zone.set('SRV users.test', [srv('users.test', 'users.test', 80, { ttl: 0 })])
      await until(['http://127.0.0.4:80'])
    })
  }
}

test('a family that fails for a while keeps its addresses, one that is gone does not', async (t) => {
  const dns = await startDns(t, {
    'A users.test': [a('users.test', '127.0.0.2', 0)],
    'AAAA users.test': [aaaa('users.test', '::1', 0)]
  })
  const { users, again } = await discover(t, dns, { dns: 'users.test' })
  assert.deepEqual(urlsOf(users), ['http://127.0.0.2', 'http://[::1]'])

  dns.zone.set('A users.test', [a('users.test', '127.0.0.3', 0)])
  dns.zone.set('AAAA users.test', 'SERVFAIL')
  await again()
  assert.deepEqual(urlsOf(users), ['http://[::1]', 'http://127.0.0.3'])

  dns.zone.set('AAAA users.test', [])
  await again()
  assert.deepEqual(urlsOf(users), ['http://127.0.0.3'])

  dns.zone.set('AAAA users.test', 'SERVFAIL')
  await again()
  assert.deepEqual(urlsOf(users), ['http://127.0.0.3'], 'what was gone stays so')
})

test('a service of which no server knows keeps its addresses, one that has none is gone', async (t) => {
  const name = '_http._tcp.users.test'
  const dns = await startDns(t, {
    [`SRV ${name}`]: [srv(name, 'one.test', 1, { ttl: 0 }), srv(name, 'two.test', 2, { ttl: 0 })],
    'A one.test': [a('one.test', '127.0.0.2', 0)],
    'A two.test': [a('two.test', '127.0.0.3', 0)]
  })
  const { users, again } = await discover(t, dns, { dns: name, type: 'srv' })

  dns.zone.set('A two.test', 'SERVFAIL')
  dns.zone.set('AAAA two.test', 'SERVFAIL')
  await again()
  assert.deepEqual(urlsOf(users), ['http://127.0.0.2:1', 'http://127.0.0.3:2'])

  dns.zone.set('A two.test', 'NXDOMAIN')
  dns.zone.set('AAAA two.test', 'NXDOMAIN')
  await again()
  assert.deepEqual(urlsOf(users), ['http://127.0.0.2:1'])
})

test('another priority ends neither maintenance nor a drain, and does not bring back what code has removed', async (t) => {
  const name = '_http._tcp.users.test'
  const services = (priority: number) => [1, 2, 3, 4].map((port) => srv(name, 'one.test', port, { priority, ttl: 0 }))
  const dns = await startDns(t, { [`SRV ${name}`]: services(0), 'A one.test': [a('one.test', '127.0.0.2', 0)] })
  const { users, again } = await discover(t, dns, { dns: name, type: 'srv' })
  users.setDown('http://127.0.0.2:1', true)
  users.drain('http://127.0.0.2:2')
  users.remove('http://127.0.0.2:3')

  dns.zone.set(`SRV ${name}`, services(5))
  await again()

  assert.deepEqual(
    users.targets.map(({ port, priority, down, draining }) => [port, priority, down, draining]),
    [
      [1, 5, true, false],
      [2, 5, false, true],
      [4, 5, false, false]
    ]
  )
})

test('targets of the configuration are left alone, also when DNS has them too', async (t) => {
  const dns = await startDns(t, { 'A users.test': [a('users.test', '127.0.0.2', 0), a('users.test', '127.0.0.3', 0)] })
  const targets = [{ url: 'http://127.0.0.2:80', weight: 9 }]
  const { users, again } = await discover(t, dns, { dns: 'users.test', type: 'a', port: 80 }, { targets })

  dns.zone.set('A users.test', [a('users.test', '127.0.0.4', 0)])
  await again()

  assert.deepEqual(
    users.targets.map(({ url, weight }) => [url, weight]),
    [
      ['http://127.0.0.2:80', 9],
      ['http://127.0.0.4:80', 1]
    ]
  )
})

test('an app whose DNS says nothing starts all the same, without those targets', async (t) => {
  const dns = await startDns(t, { 'SRV users.test': 'silence' })

  const { users, lines } = await discover(t, dns, { dns: 'users.test', type: 'srv', timeout: '20ms' })

  assert.deepEqual(urlsOf(users), [])
  assert.match(lines[0]?.err?.message ?? '', /no answer within 20 ms/)
})

test('when a server is silent the next one is asked, by SRV too', async (t) => {
  const silent = await startDns(t, { 'SRV users.test': 'silence', 'A one.test': 'silence' })
  const dns = await startDns(t, {
    'SRV users.test': [srv('users.test', 'one.test', 3000)],
    'A one.test': [a('one.test', '127.0.0.2')]
  })
  const servers = [silent.address, dns.address]

  const { until } = await discover(t, dns, { dns: 'users.test', type: 'srv', timeout: '200ms', servers })

  await until(['http://127.0.0.2:3000'])
})

test('nothing is looked up any more once the app is closed', async (t) => {
  const dns = await startDns(t, { 'A users.test': [a('users.test', '127.0.0.2', 0)] })
  const { app, cancelled } = await discover(t, dns, { dns: 'users.test', type: 'a' })

  await app.close()

  assert.equal(cancelled.count, 1)
})

test('what is no reply to the query is not taken for one, and bytes that make no sense harm nobody', () => {
  const query = encodeServiceQuery(7, 'users.test')
  const reply = encode({
    type: 'response',
    id: 7,
    questions: [{ type: 'SRV', name: 'users.test' }],
    answers: [
      { type: 'CNAME', name: 'users.test', data: 'alias.test', ttl: 9 },
      srv('alias.test', 'one.alias.test', 3001),
      srv('alias.test', 'two.alias.test', 3002, { ttl: 2 ** 32 - 1 })
    ]
  })

  assert.deepEqual(decodeServiceReply(reply, query), {
    status: 0,
    isTruncated: false,
    ttl: 0,
    records: [
      { name: 'one.alias.test', port: 3001, priority: 0, weight: 1 },
      { name: 'two.alias.test', port: 3002, priority: 0, weight: 1 }
    ]
  })
  assert.equal(decodeServiceReply(reply, encodeServiceQuery(8, 'users.test')), undefined)
  assert.equal(decodeServiceReply(reply, encodeServiceQuery(7, 'other.test')), undefined)
  assert.equal(decodeServiceReply(query, query), undefined, 'a question')

  const random = seeded(5)
  for (let round = 0; round < 5_000; round++) {
    const bytes = Buffer.from(reply)
    for (let flips = 0; flips < 4; flips++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
    const cut = bytes.subarray(0, Math.floor(random() * (bytes.length + 1)))
    try {
      decodeServiceReply(cut, query)
    } catch (error) {
      assert.ok(error instanceof LookupError, String(error))
    }
  }
})

test('the gateway follows DNS while requests are under way, and none is dropped', async (t) => {
  const held: (() => void)[] = []
  const old = await startTarget(t, (_request, response) => void held.push(() => response.end('old')))
  const dns = await startDns(t, {
    'SRV users.test': [srv('users.test', 'one.test', Number(new URL(old.url).port), { ttl: 0 })]
  })
  dns.zone.set('A one.test', [a('one.test', '127.0.0.1', 0)])
  const app = Fastify({ forceCloseConnections: true })
  t.after(() => app.close())
  const source = { dns: 'users.test', type: 'srv' as const, servers: [dns.address], minTtl: 5 }
  await app.register(gateway, {
    upstreams: { users: { discover: [source] } },
    routes: [{ match: { path: '/*' }, upstream: 'users' }]
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const port = portOf(app.server)

  const first = send(port)
  await eventually(() => held.length === 1, 'no request at the old target')
  const young = await startTarget(t, (_request, response) => void response.end('young'))
  dns.zone.set('SRV users.test', [srv('users.test', 'one.test', Number(new URL(young.url).port), { ttl: 0 })])
  await eventually(() => app.balancers.get('users').targets[0]?.url === young.url.replace(/\/$/, ''), 'no new target')
  const second = await send(port)
  held[0]?.()

  assert.equal(second.body.toString(), 'young')
  assert.equal((await first).body.toString(), 'old')
})

test('what cannot be is refused at boot', async (t) => {
  const dns = await startDns(t)
  const boot = (source: Source, upstream = {}) => discover(t, dns, source, upstream)

  await assert.rejects(boot({ dns: 'a b' }), /discover\[0\]\.dns: found 'a b', expected a host name/)
  await assert.rejects(boot({ dns: 'a', type: 'srv', port: 1 }), /port: found port beside type srv/)
  await assert.rejects(boot({ dns: 'a', protocol: 'https' }), /found https without tls\.servername/)
  await assert.rejects(boot({ dns: 'a', servers: ['dns.test'] }), /servers\[0\]: found 'dns\.test'/)
})

test('a gateway that only has targets asks nobody', async (t) => {
  const { url } = await startTarget(t, (_request, response) => void response.end())
  const gatewayAlone = await startGateway(t, [url])

  assert.equal((await send(gatewayAlone.port)).status, 200)
})

interface LogLine {
  level: number
  upstream?: string
  added?: string[]
  removed?: string[]
  changed?: string[]
  err?: { code?: string; message: string }
}

/** An app with balancers and discovery; `again` has it look once more, as if the time had come. */
async function discover(
  t: TestContext,
  dns: DnsServer,
  source: Source,
  { random = () => 0, ...upstream }: { random?: () => number; [key: string]: unknown } = {}
) {
  const waits: number[] = []
  const cancelled = { count: 0 }
  const lines: LogLine[] = []
  let onTime = () => {}
  const upstreams: GatewayOptions['upstreams'] = JSON.parse(
    JSON.stringify({ users: { ...upstream, discover: [{ servers: [dns.address], minTtl: '10ms', ...source }] } })
  )
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const app = Fastify({ logger: { level: 'info', stream } })
  t.after(() => app.close())
  const schedule = (callback: () => void, milliseconds: number) => {
    waits.push(milliseconds)
    onTime = callback
    return () => void cancelled.count++
  }
  await app.register(balancer, { upstreams: balancersOf(upstream) })
  await app.register(discovery, { upstreams, random, schedule })
  await app.ready()
  const again = async () => {
    const { length } = waits
    onTime()
    await eventually(() => waits.length > length, 'it has not looked again')
  }
  const users = app.balancers.get('users')
  /** Looks until the targets are these: a machine that is busy may be too slow for a short timeout. */
  const until = async (urls: string[]) => {
    for (let look = 0; look < 20 && urlsOf(users).join() !== urls.join(); look++) await again()
    assert.deepEqual(urlsOf(users), urls)
  }
  return { app, users, waits, cancelled, lines, again, until }
}

function balancersOf({ targets = [], slowStart }: Record<string, unknown>) {
  const window = slowStart === undefined ? 0 : 60_000
  assert.ok(Array.isArray(targets))
  return { users: { targets, slowStart: { window } } }
}

function urlsOf({ targets }: Balancer): string[] {
  return targets.map(({ url }) => url)
}
