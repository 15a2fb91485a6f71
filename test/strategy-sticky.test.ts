import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Balancer, createBalancers, type StrategyFactory, type Target } from '../plugins/balancer/index.ts'
import { InvalidStrategyError, UnknownStrategyError } from '../plugins/errors.ts'
import { FakeClock, readServer } from './balancer-helper.ts'

const SECRET = 'a secret of some length'
const SERVERS = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']

interface StickySketch {
  options?: Record<string, unknown>
  servers?: readonly string[]
  clock?: FakeClock
  name?: string
  strategies?: StrategyFactory[]
}

function sticky(sketch: StickySketch = {}): Balancer {
  const { options = {}, servers = SERVERS, clock = new FakeClock(), name = 'test', strategies = [] } = sketch
  const strategy = { name: 'sticky', secret: SECRET, ...options }
  return createBalancers({
    now: clock.now,
    date: clock.now,
    strategies,
    upstreams: { [name]: { strategy, targets: servers.map(readServer) } }
  }).get(name)
}

/** The token that a client without one gets from a target. */
function tokenOf(balancer: Balancer, target: Target | undefined, brought?: string): string {
  assert.ok(target)
  const token = balancer.renewToken(target, brought)
  assert.ok(token)
  return token
}

function pick(balancer: Balancer, token: string | undefined, tried?: Target[]): Target | undefined {
  return balancer.get({ key: undefined, tried, token })
}

test('sticky: a client stays with the target that served it, while others go on', () => {
  const balancer = sticky()
  const token = tokenOf(balancer, pick(balancer, undefined))

  const urls = Array.from({ length: 4 }, () => [pick(balancer, token)?.url, pick(balancer, undefined)?.url])

  assert.deepEqual(urls, [
    ['http://10.0.0.1:80', 'http://10.0.0.2:80'],
    ['http://10.0.0.1:80', 'http://10.0.0.3:80'],
    ['http://10.0.0.1:80', 'http://10.0.0.1:80'],
    ['http://10.0.0.1:80', 'http://10.0.0.2:80']
  ])
})

test('sticky: a token that holds is not renewed, and one for another target is', () => {
  const balancer = sticky()
  const [first, second] = balancer.targets
  assert.ok(first && second)
  const token = tokenOf(balancer, first)

  assert.equal(balancer.renewToken(first, token), undefined)
  assert.equal(balancer.renewToken(second, token), tokenOf(balancer, second))
})

test('sticky: the token is another one for each target, each upstream and each secret', () => {
  const tokens = [{}, { name: 'other' }, { options: { secret: 'another secret of some length' } }].flatMap((sketch) => {
    const balancer = sticky(sketch)
    return balancer.targets.map((target) => tokenOf(balancer, target))
  })

  assert.equal(new Set(tokens).size, 9)
})

test('sticky: the token is the same at another gateway, after a restart, and whatever the order of the list', () => {
  const tokens = [SERVERS, [...SERVERS].reverse()].map((servers) => {
    const balancer = sticky({ servers })
    return tokenOf(
      balancer,
      balancer.targets.find(({ url }) => url === 'http://10.0.0.2:80')
    )
  })

  assert.equal(tokens[0], tokens[1])
})

test('sticky: the token tells nothing of the target', () => {
  const balancer = sticky()
  const token = tokenOf(balancer, balancer.targets[0])

  assert.match(token, /^[\w-]{12}\.[\w-]{22}$/)
  assert.doesNotMatch(Buffer.from(token, 'base64url').toString('latin1'), /10\.0|http|:80/)
})

const forgeries: [string, (token: string, other: string) => string][] = [
  ['nothing', () => ''],
  ['no token', () => 'user-7'],
  ['an id alone', (token) => token.slice(0, 12)],
  ['a signature cut short', (token) => token.slice(0, -1)],
  ['a signature with more behind it', (token) => `${token}A`],
  ['another signature', (token) => `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`],
  ['the signature of another target', (token, other) => token.slice(0, 13) + other.slice(13)],
  ['an unknown id', (token) => `AAAAAAAAAAAA${token.slice(12)}`],
  ['characters beyond ASCII', (token) => `${token.slice(0, -1)}\u00e9`]
]
for (const ttl of [0, '1h']) {
  for (const [name, forge] of forgeries) {
    test(`sticky: a token that is ${name} is as none (ttl ${ttl})`, () => {
      const balancer = sticky({ options: { ttl } })
      const [, second, third] = balancer.targets
      const forged = forge(tokenOf(balancer, second), tokenOf(balancer, third))

      const urls = Array.from({ length: 3 }, () => pick(balancer, forged)?.url)

      // The turns of round robin.
      assert.deepEqual(urls, ['http://10.0.0.1:80', 'http://10.0.0.2:80', 'http://10.0.0.3:80'])
    })
  }
}

test('sticky: with a ttl, a token holds that long and cannot be made to hold longer', () => {
  const clock = new FakeClock()
  const balancer = sticky({ options: { ttl: '10m' }, clock })
  const second = balancer.targets[1]
  assert.ok(second)
  const token = tokenOf(balancer, second)
  const [id = '', expiry = '', signature = ''] = token.split('.')
  const extended = `${id}.${(Number.parseInt(expiry, 36) + 3_600).toString(36)}.${signature}`

  clock.time += 599_000
  const before = [pick(balancer, token), balancer.renewToken(second, token), pick(balancer, extended)]
  clock.time += 2_000
  const after = pick(balancer, token)
  const renewed = tokenOf(balancer, second, token)

  assert.deepEqual(before, [second, undefined, balancer.targets[0]])
  assert.notEqual(after, balancer.targets[0])
  assert.notEqual(renewed, token)
  assert.equal(pick(balancer, renewed), second)
})

test('sticky: a token of a former secret is accepted, and renewed with the present one', () => {
  const former = sticky()
  const token = tokenOf(former, former.targets[1])
  const rotated = sticky({ options: { secret: ['the secret from now on', SECRET] } })
  const retired = sticky({ options: { secret: ['the secret from now on'] } })
  const second = rotated.targets[1]
  assert.ok(second)

  const renewed = tokenOf(rotated, second, token)

  assert.equal(pick(rotated, token), second)
  assert.equal(pick(retired, renewed), retired.targets[1])
  assert.equal(rotated.renewToken(second, renewed), undefined)
  assert.notEqual(pick(retired, token), retired.targets[1])
})

const obstacles: [string, (balancer: Balancer, target: Target) => void, Target[] | undefined][] = [
  ['is down', (_balancer, target) => Object.assign(target, { down: true }), undefined],
  [
    'has failed',
    (balancer, target) => {
      balancer.acquire(target)
      balancer.release(target, 'failure')
    },
    undefined
  ],
  [
    'is full',
    (balancer, target) => {
      balancer.acquire(target)
      balancer.acquire(target)
    },
    undefined
  ],
  ['was removed', (balancer, target) => void balancer.remove(target.url), undefined]
]
for (const [name, obstruct] of obstacles) {
  test(`sticky: a client whose target ${name} gets another one, and stays there`, () => {
    const balancer = sticky({ servers: SERVERS.map((server) => `${server} max_conns=2`) })
    const [first] = balancer.targets
    assert.ok(first)
    const token = tokenOf(balancer, first)

    obstruct(balancer, first)
    const next = pick(balancer, token)
    assert.ok(next)
    const renewed = tokenOf(balancer, next, token)

    assert.notEqual(next, first)
    assert.deepEqual([pick(balancer, renewed), pick(balancer, renewed)], [next, next])
  })
}

test('sticky: an exchange that has tried the target of the client goes on to another', () => {
  const balancer = sticky()
  const [first] = balancer.targets
  assert.ok(first)

  const next = pick(balancer, tokenOf(balancer, first), [first])

  assert.notEqual(next, first)
  assert.notEqual(next, undefined)
})

test('sticky: a draining target keeps its clients and gets no new ones', () => {
  const balancer = sticky()
  const [first] = balancer.targets
  assert.ok(first)
  const token = tokenOf(balancer, first)

  first.draining = true
  const known = Array.from({ length: 3 }, () => pick(balancer, token))
  const fresh = Array.from({ length: 6 }, () => pick(balancer, undefined))

  assert.deepEqual(known, [first, first, first])
  assert.equal(fresh.includes(first), false)
  assert.equal(balancer.renewToken(first, token), undefined)
})

test('sticky: the only target keeps its clients while it drains, and it too gives tokens', () => {
  const balancer = sticky({ servers: SERVERS.slice(0, 1) })
  const [only] = balancer.targets
  assert.ok(only)
  const token = tokenOf(balancer, pick(balancer, undefined))

  only.draining = true

  assert.deepEqual([pick(balancer, token), pick(balancer, undefined)], [only, undefined])
})

test('sticky: backups keep their clients only as long as no primary is available', () => {
  const balancer = sticky({ servers: ['h1:1', 'h2:1 backup', 'h3:1 backup'] })
  const [primary, , second] = balancer.targets
  assert.ok(primary && second)
  const token = tokenOf(balancer, second)

  primary.down = true
  const during = [pick(balancer, token), pick(balancer, token)]
  primary.down = false

  assert.deepEqual(during, [second, second])
  assert.equal(pick(balancer, token), primary)
})

test('sticky: what the inner strategy needs and observes reaches it', () => {
  const seen: string[] = []
  const inner: StrategyFactory = {
    name: 'inner',
    create: (options) => ({
      needs: { key: true, latency: true },
      add: (target) => seen.push(`add ${target.port}`),
      remove: (target) => seen.push(`remove ${target.port}`),
      get: ({ key }) => void seen.push(`get ${key} ${options.depth}`),
      begin: (target) => seen.push(`begin ${target.port}`),
      observe: (target, outcome, milliseconds) => seen.push(`${outcome} ${target.port} ${milliseconds}`)
    })
  }
  const options = { strategy: { name: 'inner', depth: 2 } }
  const balancer = sticky({ options, servers: ['h:1', 'h:2'], strategies: [inner] })
  const [first] = balancer.targets
  assert.ok(first)

  balancer.get({ key: 'k', tried: undefined, token: tokenOf(balancer, first) })
  balancer.get({ key: 'k', tried: undefined, token: 'none' })
  balancer.acquire(first)
  balancer.release(first, 'error', 3)
  balancer.remove(first.url)

  assert.deepEqual([balancer.needs.key, balancer.needs.latency], [true, true])
  // The second `get` is that of the strategy of the backups.
  assert.deepEqual(
    seen.filter((event) => event !== 'get k 2'),
    ['add 1', 'add 2', 'begin 1', 'error 1 3', 'remove 1']
  )
  assert.ok(seen.includes('get k 2'))
})

for (const { name, options, expected } of [
  {
    name: 'by default',
    options: {},
    expected: ['cookie', /^sticky-[0-9a-f]{8}$/, '; Path=/; HttpOnly; SameSite=Lax']
  },
  {
    name: 'with a name',
    options: { cookie: 'sid' },
    expected: ['cookie', /^sid$/, '; Path=/; HttpOnly; SameSite=Lax']
  },
  {
    name: 'with everything',
    options: {
      ttl: '90m',
      cookie: {
        name: 'sid',
        path: '/shop',
        domain: 'example.com',
        httpOnly: false,
        secure: true,
        sameSite: 'none'
      }
    },
    expected: ['cookie', /^sid$/, '; Path=/shop; Domain=example.com; Max-Age=5400; Secure; SameSite=None']
  },
  { name: 'as a header', options: { header: 'X-Session' }, expected: ['header', /^x-session$/, ''] }
] as const) {
  test(`sticky: the token travels ${name} as ${expected[0]}`, () => {
    const affinity = sticky({ options }).needs.affinity
    assert.ok(affinity)

    assert.equal(affinity.from, expected[0])
    assert.match(affinity.name, expected[1])
    assert.equal(affinity.attributes, expected[2])
  })
}

test('sticky: the cookies of two upstreams have different names', () => {
  const names = ['a', 'b'].map((name) => sticky({ name }).needs.affinity?.name)

  assert.notEqual(names[0], names[1])
})

test('sticky: without a secret there is one for this process, and that is told', () => {
  const [first, second] = [{ secret: undefined }, { secret: undefined }].map((options) => sticky({ options }))
  assert.ok(first && second)

  assert.notEqual(tokenOf(first, first.targets[0]), tokenOf(second, second.targets[0]))
  assert.deepEqual([first.needs.affinity?.lasting, sticky().needs.affinity?.lasting], [false, true])
})

const refused: [string, Record<string, unknown>, string][] = [
  ['a short secret', { secret: 'short' }, 'secret must be a string of at least 16 characters, or a list of them'],
  ['no secrets', { secret: [] }, 'secret must be a string of at least 16 characters, or a list of them'],
  [
    'a secret that is none',
    { secret: [SECRET, 7] },
    'secret must be a string of at least 16 characters, or a list of them'
  ],
  ['an odd ttl', { ttl: 'soon' }, 'ttl must be a duration such as 10s, found "soon"'],
  ['cookie and header', { cookie: 'a', header: 'b' }, 'found cookie and header, expected one of them'],
  ['a header of an odd name', { header: 'x session' }, 'header must be the name of a header'],
  ['a cookie that is none', { cookie: 7 }, 'cookie must be a name or a mapping'],
  ['a cookie of an odd name', { cookie: 'a b' }, 'cookie.name must be the name of a cookie'],
  [
    'an unknown option of the cookie',
    { cookie: { maxAge: 1 } },
    "unknown option 'maxAge', expected one of: name, path, domain, httpOnly, secure, sameSite"
  ],
  ['a path with an attribute', { cookie: { path: '/; Secure' } }, 'cookie.path must be a path'],
  ['a path that is none', { cookie: { path: 'shop' } }, 'cookie.path must be a path'],
  ['a domain with an attribute', { cookie: { domain: 'a;b' } }, 'cookie.domain must be the name of a domain'],
  ['httpOnly of another kind', { cookie: { httpOnly: 1 } }, 'cookie.httpOnly must be true or false'],
  ['secure of another kind', { cookie: { secure: 'yes' } }, 'cookie.secure must be true or false'],
  ['sameSite of another kind', { cookie: { sameSite: 'Lax' } }, 'cookie.sameSite must be lax, strict or none'],
  ['sameSite none alone', { cookie: { sameSite: 'none' } }, 'cookie.sameSite none needs cookie.secure'],
  ['itself', { strategy: 'sticky' }, 'strategy is sticky itself'],
  [
    'an unknown option',
    { cookies: 'a' },
    "unknown option 'cookies', expected one of: strategy, secret, ttl, cookie, header"
  ]
]
for (const [name, options, message] of refused) {
  test(`sticky: ${name} is refused`, () => {
    assert.throws(() => sticky({ options }), new InvalidStrategyError('sticky', message))
  })
}

test('sticky: an inner strategy that does not exist is refused, with the names of those that do', () => {
  const { names } = createBalancers().strategies

  assert.throws(() => sticky({ options: { strategy: 'maglew' } }), new UnknownStrategyError('maglew', names.join(', ')))
})

test('sticky: a faulty option of the inner strategy is refused in its name', () => {
  assert.throws(
    () => sticky({ options: { strategy: { name: 'peak-ewma', decay: 0 } } }),
    new InvalidStrategyError('peak-ewma', 'decay must be more than 0')
  )
})

for (const strategy of [7, {}, { name: 7 }]) {
  test(`sticky: an inner strategy that is ${JSON.stringify(strategy)} is refused`, () => {
    assert.throws(() => sticky({ options: { strategy } }), /a strategy is a name, or a mapping of a name and options/)
  })
}
