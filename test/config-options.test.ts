import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import Fastify from 'fastify'
import config, { type GatewayConfig, type GatewayOptions, parseOptions } from '../plugins/config/index.ts'
import { fixture } from './helper.ts'

const targets = ['http://127.0.0.1:3001']
const { source: _source, ...serverTls } = fixture<{ source: string; cert: string; key: string }>('localhost-tls.json')

/** One upstream `users`, and one route to it that says more. */
function withRoute(route: Record<string, unknown>): unknown {
  return { upstreams: { users: { targets } }, routes: [{ upstream: 'users', ...route }] }
}

function withSplit(sticky: object): unknown {
  return withRoute({ upstream: [{ upstream: 'users' }, { upstream: 'users', weight: 2 }], sticky })
}

function withUpstream(upstream: Record<string, unknown>): unknown {
  return { upstreams: { users: upstream } }
}

/** Input that types would refuse, as it may come from JavaScript. */
function parse(input: unknown): GatewayConfig {
  return parseOptions(input as GatewayOptions)
}

function faultsOf(input: unknown): string[] {
  try {
    parse(input)
    return []
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error)
    assert.equal(error.code, 'FST_GATEWAY_INVALID_CONFIG')
    return error.message.split('\n').slice(1)
  }
}

test('without options there are no upstreams and no routes', () => {
  assert.deepEqual(parseOptions({}), {
    upstreams: {},
    routes: [],
    trustedProxies: [],
    server: {
      workers: 1,
      headersTimeout: 15_000,
      requestTimeout: 0,
      keepAliveTimeout: 72_000,
      maxConnectionAge: 0,
      maxHeaderSize: 16_384,
      bodyLimit: 0,
      http2: true
    },
    diagnostics: {
      enabled: false,
      host: '127.0.0.1',
      port: 9901,
      directory: 'diagnostics',
      maxFiles: 20,
      maxBytes: 1024 ** 3,
      minFree: 1024 ** 3,
      minInterval: 10_000,
      maxHeap: 64 * 1024 ** 2,
      heapStrings: false,
      blockedAfter: 0,
      crashLocals: false
    }
  })
})

test('an upstream has its defaults', () => {
  const { upstreams } = parseOptions({ upstreams: { users: { targets } } })

  const breaker = {
    enabled: false,
    failureRate: 0.5,
    networkErrorRate: 0,
    slowRate: 0,
    consecutiveFailures: 0,
    slowAfter: 0,
    window: 10_000,
    minRequests: 20,
    openFor: 10_000,
    recovery: 10_000
  }
  assert.deepEqual(upstreams.users, {
    strategy: { name: 'round-robin', options: {} },
    hashKey: undefined,
    targets: [
      {
        url: 'http://127.0.0.1:3001',
        weight: 1,
        backup: false,
        priority: 0,
        down: false,
        maxConnections: 0,
        maxFails: 1,
        failTimeout: 10_000,
        check: true
      }
    ],
    slowStart: { window: 0, aggression: 1, minWeight: 0.1 },
    panicThreshold: 0.5,
    discover: [],
    timeouts: { connect: 5000, response: 30_000, idle: 60_000, total: 0 },
    retry: {
      attempts: 1,
      on: ['connect', 'reset', 502, 503, 504],
      bodyLimit: 65_536,
      budget: 0.2,
      backoff: { base: 25, max: 250 },
      maxRetryAfter: 5_000
    },
    health: {
      passive: {
        enabled: false,
        consecutiveFailures: 5,
        window: 10_000,
        minRequests: 100,
        failureRate: 0,
        deviation: 1.9,
        ejection: { base: 30_000, max: 300_000, jitter: 0, share: 0.1, endedByCheck: false }
      }
    },
    circuitBreaker: { target: breaker, upstream: breaker },
    maxConnections: 0,
    queue: { size: 0, timeout: 5_000 },
    hedge: { enabled: false, quantile: 0.95 },
    failover: undefined,
    http2: false,
    tls: { verify: true }
  })
})

test('a route has its defaults', () => {
  const { routes } = parseOptions({ upstreams: { users: {} }, routes: [{ upstream: 'users' }] })

  const none = { set: [], add: [], remove: [] }
  assert.deepEqual(routes, [
    {
      id: 'route-1',
      match: { path: { kind: 'prefix', value: '/' }, hosts: [], methods: [], headers: [], query: [] },
      upstreams: [{ upstream: 'users', weight: 1 }],
      sticky: undefined,
      mirrors: [],
      redirect: undefined,
      rewrite: { host: 'preserve', reverse: false },
      request: { headers: none, query: none },
      response: { headers: none },
      upgrade: true,
      retry: { idempotencyKey: false },
      middleware: [],
      order: undefined
    }
  ])
})

test('a redirect has its defaults, and needs no upstream', () => {
  const [route] = parseOptions({ routes: [{ redirect: { scheme: 'https', host: 'WWW.Example.org' } }] }).routes

  assert.deepEqual(route?.redirect, { scheme: 'https', host: 'www.example.org', status: 302 })
  assert.deepEqual(route?.upstreams, [])
})

const paths: [written: string | { regex: string }, expected: { kind: string; value: string }][] = [
  ['/users', { kind: 'exact', value: '/users' }],
  ['/users/', { kind: 'exact', value: '/users/' }],
  ['/users/*', { kind: 'prefix', value: '/users' }],
  ['/*', { kind: 'prefix', value: '/' }],
  [{ regex: '^/u(sers)?$' }, { kind: 'regex', value: '^/u(sers)?$' }]
]

for (const [path, expected] of paths) {
  test(`the path ${JSON.stringify(path)} is matched as ${expected.kind} '${expected.value}'`, () => {
    const { routes } = parse(withRoute({ match: { path } }))

    assert.deepEqual(routes[0]?.match.path, expected)
  })
}

const hashKeys: [written: string, expected: object][] = [
  ['ip', { from: 'ip' }],
  ['path', { from: 'path' }],
  ['url', { from: 'url' }],
  ['header:X-User-Id', { from: 'header', name: 'x-user-id' }],
  ['cookie:Session', { from: 'cookie', name: 'Session' }],
  ['query:user id', { from: 'query', name: 'user id' }]
]

for (const [hashKey, expected] of hashKeys) {
  test(`the hash key '${hashKey}' is read`, () => {
    assert.deepEqual(parse(withUpstream({ hashKey })).upstreams.users?.hashKey, expected)
  })
}

const urls: [written: string, kept: string][] = [
  ['http://127.0.0.1:3001/', 'http://127.0.0.1:3001'],
  ['http://Backend.example', 'http://Backend.example'],
  ['https://backend.example:443', 'https://backend.example:443'],
  ['http://[::1]:3001', 'http://[::1]:3001'],
  ['unix:/run/users.sock', 'unix:/run/users.sock']
]

for (const [url, kept] of urls) {
  test(`the target ${url} is kept as ${kept}`, () => {
    assert.equal(parse(withUpstream({ targets: [url] })).upstreams.users?.targets[0]?.url, kept)
  })
}

test('matches, header rules and methods are brought into one form', () => {
  const { routes } = parseOptions({
    upstreams: { users: {} },
    routes: [
      {
        match: {
          hosts: ['API.example.com', '*.Example.org', '[::1]'],
          methods: ['get', 'Purge'],
          headers: { 'X-Version': 2, 'X-Beta': { present: true }, 'x-name': { regex: '^a' } },
          query: { Debug: true }
        },
        upstream: 'users',
        response: { headers: { set: { 'X-A': ['1', 2] }, add: { via: true }, remove: ['Server'] } }
      }
    ]
  })

  assert.deepEqual(routes[0]?.match, {
    path: { kind: 'prefix', value: '/' },
    hosts: ['api.example.com', '*.example.org', '[::1]'],
    methods: ['GET', 'PURGE'],
    headers: [
      { name: 'x-version', kind: 'exact', value: '2' },
      { name: 'x-beta', kind: 'present', value: '' },
      { name: 'x-name', kind: 'regex', value: '^a' }
    ],
    query: [{ name: 'Debug', kind: 'exact', value: 'true' }]
  })
  assert.deepEqual(routes[0]?.response.headers, {
    set: [
      ['X-A', '1'],
      ['X-A', '2']
    ],
    add: [['via', 'true']],
    remove: ['Server']
  })
})

test('a strategy may have options of its own', () => {
  const { upstreams } = parseOptions({ upstreams: { users: { strategy: { name: 'mine', size: 7 } } } })

  assert.deepEqual(upstreams.users?.strategy, { name: 'mine', options: { size: 7 } })
})

test('routes without an id are numbered by position', () => {
  const { routes } = parse({
    upstreams: { users: {} },
    routes: [{ upstream: 'users' }, { id: 'mine', upstream: 'users' }, { upstream: 'users' }]
  })

  assert.deepEqual(
    routes.map(({ id }) => id),
    ['route-1', 'mine', 'route-3']
  )
})

const faults: [name: string, input: unknown, expected: string][] = [
  ['options of the wrong type', 'x', "options: found 'x', expected a mapping"],
  [
    'an unknown key',
    withRoute({ match: { pth: '/x' } }),
    "options.routes[0].match.pth: unknown key 'pth', expected one of: path, hosts, methods, headers, query (did you mean 'path'?)"
  ],
  [
    'an unknown key that resembles none',
    { zebra: 1 },
    "options.zebra: unknown key 'zebra', expected one of: upstreams, routes, trustedProxies, server, diagnostics"
  ],
  [
    'a bad duration',
    withUpstream({ timeouts: { connect: 'fast' } }),
    "options.upstreams.users.timeouts.connect: found 'fast', expected a duration such as 250ms, 10s, 5m, or a number of milliseconds"
  ],
  [
    'a bad size',
    { server: { maxHeaderSize: 'big' } },
    "options.server.maxHeaderSize: found 'big', expected a size such as 512b, 64kb, 1mb, or a number of bytes"
  ],
  [
    'a missing url',
    withUpstream({ targets: [{ weight: 1 }] }),
    'options.upstreams.users.targets[0].url: found nothing, expected http://host:port, https://host:port, unix:/path, function:NAME or app:NAME, without user, query or fragment'
  ],
  [
    'a path in a target',
    withUpstream({ targets: ['http://a/v1'] }),
    "options.upstreams.users.targets[0]: found 'http://a/v1', expected a URL without a path (use rewrite.prefix)"
  ],
  [
    'a password in a target, which stays secret',
    withUpstream({ targets: ['http://user:se/cret@a'] }),
    "options.upstreams.users.targets[0]: found 'http://***@a', expected http://host:port, https://host:port, unix:/path, function:NAME or app:NAME, without user, query or fragment"
  ],
  [
    'a weight below 0',
    withUpstream({ targets: [{ url: 'http://a', weight: -1 }] }),
    'options.upstreams.users.targets[0].weight: found -1, expected a whole number, 0 or more'
  ],
  [
    'a target that is there twice',
    withUpstream({ targets: ['http://a', { url: 'http://A:80/' }] }),
    "options.upstreams.users.targets[1]: found 'http://A:80/', expected a URL that no other target of the upstream has"
  ],
  [
    'a backup with a priority',
    withUpstream({ targets: [{ url: 'http://a', backup: true, priority: 1 }] }),
    'options.upstreams.users.targets[0].priority: found priority beside backup, expected one of them'
  ],
  [
    'a slow start that never ends',
    withUpstream({ slowStart: { window: '1s', aggression: 0 } }),
    'options.upstreams.users.slowStart.aggression: found 0, expected a number, more than 0'
  ],
  [
    'an unknown failure to retry on',
    withUpstream({ retry: { on: ['conect'] } }),
    "options.upstreams.users.retry.on[0]: found 'conect', expected connect, reset, timeout, malformed, 429 or a status from 500 to 599 (did you mean 'connect'?)"
  ],
  [
    'a status that is not worth a retry',
    withUpstream({ retry: { on: [404] } }),
    'options.upstreams.users.retry.on[0]: found 404, expected connect, reset, timeout, malformed, 429 or a status from 500 to 599'
  ],
  [
    'a hash key without a name',
    withUpstream({ hashKey: 'header:' }),
    "options.upstreams.users.hashKey: found 'header:', expected ip, path, url, header:NAME, cookie:NAME or query:NAME"
  ],
  [
    'a strategy without a name',
    withUpstream({ strategy: { size: 7 } }),
    'options.upstreams.users.strategy.name: found nothing, expected the name of a strategy'
  ],
  [
    'an empty strategy',
    withUpstream({ strategy: '' }),
    "options.upstreams.users.strategy: found '', expected the name of a strategy"
  ],
  [
    'an unknown upstream',
    withRoute({ upstream: 'usrs' }),
    "options.routes[0].upstream: found 'usrs', expected one of: users (did you mean 'users'?)"
  ],
  [
    'an unknown upstream in a split',
    withRoute({ upstream: [{ upstream: 'toString' }] }),
    "options.routes[0].upstream[0].upstream: found 'toString', expected one of: users"
  ],
  [
    'a route when there is no upstream at all',
    { routes: [{ upstream: 'users' }] },
    "options.routes[0].upstream: found 'users', expected an upstream, but none is defined"
  ],
  [
    'a route without upstream',
    { routes: [{}] },
    'options.routes[0].upstream: found nothing, expected an upstream, or a redirect in its place'
  ],
  [
    'a header for attempts that is about forwarding',
    withUpstream({ retry: { attemptHeader: 'x-forwarded-for' } }),
    "options.upstreams.users.retry.attemptHeader: found 'x-forwarded-for', expected the name of a header that begins with x-, and is not about forwarding"
  ],
  [
    'a failover to an unknown upstream',
    withUpstream({ failover: { upstream: 'usrs' } }),
    "options.upstreams.users.failover.upstream: found 'usrs', expected one of: users (did you mean 'users'?)"
  ],
  [
    'a failover to itself',
    withUpstream({ failover: 'users' }),
    "options.upstreams.users.failover: found 'users', expected an upstream whose failover does not lead back to 'users'"
  ],
  [
    'a sticky split by nothing',
    withSplit({}),
    'options.routes[0].sticky: found neither header nor cookie, expected one of them'
  ],
  [
    'a sticky split by two things',
    withSplit({ header: 'a', cookie: {} }),
    'options.routes[0].sticky: found header and cookie, expected one of them'
  ],
  [
    'a sticky split of one upstream',
    withRoute({ sticky: { cookie: {} } }),
    'options.routes[0].sticky: found sticky beside one upstream, expected several to choose from'
  ],
  [
    'a cookie that browsers drop',
    withSplit({ cookie: { sameSite: 'none' } }),
    'options.routes[0].sticky.cookie.sameSite: found none, expected secure: true beside it'
  ],
  [
    'a short secret, which stays secret',
    withSplit({ cookie: { secret: ['a secret of some length', 'short'] } }),
    'options.routes[0].sticky.cookie.secret: found a short secret, expected 16 characters or more'
  ],
  [
    'a mirror to an unknown upstream',
    withRoute({ mirror: 'usrs' }),
    "options.routes[0].mirror: found 'usrs', expected one of: users (did you mean 'users'?)"
  ],
  [
    'an unknown upstream in a list of mirrors',
    withRoute({ mirror: [{ upstream: 'users' }, { upstream: 'next' }] }),
    "options.routes[0].mirror[1].upstream: found 'next', expected one of: users"
  ],
  [
    'more than all requests for a mirror',
    withRoute({ mirror: [{ upstream: 'users', percent: 101 }] }),
    'options.routes[0].mirror[0].percent: found 101, expected a number from 0 to 100'
  ],
  [
    'a mirror without a timeout',
    withRoute({ mirror: [{ upstream: 'users', timeout: 0 }] }),
    'options.routes[0].mirror[0].timeout: found 0, expected a duration above 0 such as 250ms, 10s, 5m, or a number of milliseconds'
  ],
  [
    'a path to ignore that is no JSON pointer',
    withRoute({ mirror: [{ upstream: 'users', compare: { ignorePaths: ['a.b'] } }] }),
    "options.routes[0].mirror[0].compare.ignorePaths[0]: found 'a.b', expected a JSON pointer such as /updatedAt or /items/*/id"
  ],
  ...['upstream', 'sticky', 'mirror', 'rewrite', 'request', 'retry'].map((key): [string, unknown, string] => [
    `a redirect beside ${key}`,
    {
      upstreams: { users: {} },
      routes: [{ redirect: { path: '/a' }, [key]: key === 'upstream' || key === 'mirror' ? 'users' : {} }]
    },
    `options.routes[0].${key}: found ${key} beside redirect, expected one of them`
  ]),
  [
    'two ways to redirect the path',
    { routes: [{ redirect: { prefix: '/a', path: '/b' } }] },
    'options.routes[0].redirect: found prefix and path, expected at most one of prefix, path and regex'
  ],
  [
    'a prefix redirect of a regex match',
    { routes: [{ match: { path: { regex: '^/a' } }, redirect: { prefix: '/b' } }] },
    "options.routes[0].redirect.prefix: found '/b', expected a path match with a prefix; a regex match is rewritten by redirect.path or redirect.regex"
  ],
  [
    'a redirect to all hosts below a name',
    { routes: [{ redirect: { host: '*.example.org' } }] },
    "options.routes[0].redirect.host: found '*.example.org', expected a host name such as api.example.com, without port"
  ],
  [
    'a redirect to a host with a port',
    { routes: [{ redirect: { host: 'example.org:8080' } }] },
    "options.routes[0].redirect.host: found 'example.org:8080', expected a host name such as api.example.com, without port"
  ],
  [
    'a redirect to another scheme than HTTP',
    { routes: [{ redirect: { scheme: 'ftp' } }] },
    "options.routes[0].redirect.scheme: found 'ftp', expected one of: http, https (did you mean 'http'?)"
  ],
  [
    'a redirect to no port',
    { routes: [{ redirect: { port: 65_536 } }] },
    'options.routes[0].redirect.port: found 65536, expected a port from 1 to 65535'
  ],
  [
    'a redirect with a status that is none',
    { routes: [{ redirect: { status: 304 } }] },
    'options.routes[0].redirect.status: found 304, expected one of: 301, 302, 303, 307, 308'
  ],
  [
    'a header rule of a split with a bad name',
    withRoute({ upstream: [{ upstream: 'users', request: { headers: { set: { 'a b': '1' } } } }] }),
    'options.routes[0].upstream[0].request.headers.set["a b"]: found \'a b\', expected a header name'
  ],
  [
    'a split of nothing',
    withRoute({ upstream: [] }),
    'options.routes[0].upstream: found an empty list, expected at least one upstream'
  ],
  [
    'a split with weights of 0 only',
    withRoute({ upstream: [{ upstream: 'users', weight: 0 }] }),
    'options.routes[0].upstream: found only weights of 0, expected at least one above 0'
  ],
  [
    'a duplicate route id',
    { upstreams: { a: {} }, routes: [{ upstream: 'a' }, { id: 'route-1', upstream: 'a' }] },
    "options.routes[1].id: found 'route-1', expected a route id that no other route has"
  ],
  [
    'two ways to rewrite the path',
    withRoute({ rewrite: { prefix: '/a', regex: { from: 'a', to: 'b' } } }),
    'options.routes[0].rewrite: found prefix and regex, expected at most one of prefix, path and regex'
  ],
  [
    'a prefix rewrite of a regex match',
    withRoute({ match: { path: { regex: '^/a' } }, rewrite: { prefix: '/b' } }),
    "options.routes[0].rewrite.prefix: found '/b', expected a path match with a prefix; a regex match is rewritten by rewrite.path or rewrite.regex"
  ],
  [
    'a prefix without a slash',
    withRoute({ rewrite: { prefix: 'v1' } }),
    "options.routes[0].rewrite.prefix: found 'v1', expected a path that starts with '/', without query"
  ],
  [
    'a path with a query',
    withRoute({ rewrite: { path: '/v1?a' } }),
    "options.routes[0].rewrite.path: found '/v1?a', expected a path that starts with '/', without query"
  ],
  [
    'a rewrite regex that does not compile',
    withRoute({ rewrite: { regex: { from: '(', to: '' } } }),
    "options.routes[0].rewrite.regex.from: found '(', expected a regular expression"
  ],
  [
    'a path regex that does not compile',
    withRoute({ match: { path: { regex: '(' } } }),
    "options.routes[0].match.path.regex: found '(', expected a regular expression"
  ],
  [
    'a header regex that does not compile',
    withRoute({ match: { headers: { 'x-a': { regex: '(' } } } }),
    "options.routes[0].match.headers.x-a.regex: found '(', expected a regular expression"
  ],
  [
    'a host with a port',
    withRoute({ match: { hosts: ['a.example:80'] } }),
    "options.routes[0].match.hosts[0]: found 'a.example:80', expected a host name such as api.example.com or *.example.com, without port"
  ],
  [
    'a method that is no token',
    withRoute({ match: { methods: ['G T'] } }),
    "options.routes[0].match.methods[0]: found 'G T', expected a request method such as GET"
  ],
  [
    'a header name that is no token',
    withRoute({ request: { headers: { set: { 'a b': '1' } } } }),
    `options.routes[0].request.headers.set["a b"]: found 'a b', expected a header name`
  ],
  [
    'a line break in a header value',
    withRoute({ request: { headers: { add: { a: ['1', '2\r\nb: 3'] } } } }),
    'options.routes[0].request.headers.add.a: found a list, expected a string, number or boolean without line breaks, or a list of them'
  ],
  [
    'a header that must be absent',
    withRoute({ match: { headers: { a: { present: false } } } }),
    'options.routes[0].match.headers.a: found a mapping, expected a value, { regex: ... } or { present: true }'
  ],
  [
    'a host header that is no host',
    withRoute({ rewrite: { host: 'a/b' } }),
    "options.routes[0].rewrite.host: found 'a/b', expected preserve, target or a host name such as api.example.com:8080"
  ],

  ...['a:65536', '[::g]', '[1.2.3.4]', 'a:', ':80'].map((host): [string, unknown, string] => [
    `the Host '${host}' for a target`,
    withRoute({ rewrite: { host } }),
    `options.routes[0].rewrite.host: found '${host}', expected preserve, target or a host name such as api.example.com:8080`
  ]),
  ['a list that is none', withRoute({ middleware: 'a' }), "options.routes[0].middleware: found 'a', expected a list"],
  [
    'an order that is not whole',
    withRoute({ order: 1.5 }),
    'options.routes[0].order: found 1.5, expected a whole number'
  ],
  [
    'a proxy that is no address',
    { trustedProxies: ['10.0.0.0/8', 'lopback'] },
    "options.trustedProxies[1]: found 'lopback', expected an IP address, a range such as 10.0.0.0/8, loopback, linklocal, uniquelocal or unix (did you mean 'loopback'?)"
  ],
  [
    'a range wider than an address',
    { trustedProxies: ['10.0.0.0/33'] },
    "options.trustedProxies[0]: found '10.0.0.0/33', expected an IP address, a range such as 10.0.0.0/8, loopback, linklocal, uniquelocal or unix"
  ],
  [
    'a PEM file that does not exist',
    withUpstream({ tls: { ca: 'none.pem' } }),
    'options.upstreams.users.tls.ca: found an unreadable file (ENOENT), expected PEM text or a PEM file'
  ],
  [
    'a file that is not PEM',
    withUpstream({ tls: { ca: 'package.json' } }),
    'options.upstreams.users.tls.ca: found a file that is not PEM, expected PEM text or a PEM file'
  ],
  [
    'a certificate without its key',
    withUpstream({ tls: { cert: 'test/fixtures/certificate.pem' } }),
    'options.upstreams.users.tls.cert: found cert alone, expected key beside it'
  ],
  [
    'a certificate of the server without its key',
    { server: { tls: { cert: 'test/fixtures/certificate.pem' } } },
    'options.server.tls.key: found nothing, expected PEM text, or the path of a PEM file'
  ],
  [
    'a key of the server that is not PEM',
    { server: { tls: { cert: 'test/fixtures/certificate.pem', key: 'package.json' } } },
    'options.server.tls.key: found a file that is not PEM, expected PEM text or a PEM file'
  ],
  [
    'a version of TLS that is not safe',
    { server: { tls: { ...serverTls, minVersion: 'TLSv1' } } },
    "options.server.tls.minVersion: found 'TLSv1', expected one of: TLSv1.2, TLSv1.3 (did you mean 'TLSv1.2'?)"
  ]
]

for (const [name, input, expected] of faults) {
  test(`refused: ${name}`, () => {
    assert.deepEqual(faultsOf(input), [expected])
  })
}

const badPaths = ['users', '', '/users*', '/*/users', '/a/*/*', '//*', '/a b', '/a?b', '/a#b', '/a\\b', '/a\0b']

for (const path of badPaths) {
  test(`refused: the path ${JSON.stringify(path)}`, () => {
    assert.match(faultsOf(withRoute({ match: { path } })).join('\n'), /^options\.routes\[0\]\.match\.path: found .*$/)
  })
}

const badUrls = [
  'ftp://a',
  'a:3001',
  'http:a',
  'http://',
  'http://a?b',
  'http://a#b',
  'http://a b',
  'http://a:70000',
  'http://a:0',
  'unix:run.sock',
  'unix:/'
]

for (const url of badUrls) {
  test(`refused: the target ${JSON.stringify(url)}`, () => {
    assert.match(faultsOf(withUpstream({ targets: [url] })).join('\n'), /targets\[0\]: found '.*', expected http:/)
  })
}

test('all faults are found at once, those of single values and those between values', () => {
  const found = faultsOf({
    upstreams: {
      users: { targets: ['x', 'http://a', 'http://a'], timeouts: { connect: 'x' }, tls: { ca: 'none.pem' } }
    },
    routes: [{ upstream: 'userz', match: { pth: '/' }, rewrite: { prefix: '/a', path: '/b' } }],
    server: { bodyLimit: 'x' }
  })

  assert.deepEqual(
    found.map((fault) => fault.slice(0, fault.indexOf(': '))),
    [
      'options.upstreams.users.targets[0]',
      'options.upstreams.users.timeouts.connect',
      'options.routes[0].match.pth',
      'options.server.bodyLimit',
      'options.upstreams.users.targets[2]',
      'options.routes[0].upstream',
      'options.routes[0].rewrite',
      'options.upstreams.users.tls.ca'
    ]
  )
})

test('the faults are also there one by one', () => {
  assert.throws(() => parse({ server: { bodyLimit: 'x' } }), {
    faults: [
      {
        text: "options.server.bodyLimit: found 'x', expected a size such as 512b, 64kb, 1mb, or a number of bytes",
        path: 'options.server.bodyLimit',
        message: "found 'x', expected a size such as 512b, 64kb, 1mb, or a number of bytes",
        position: undefined
      }
    ]
  })
})

test('the caller may give the options another name in the faults', () => {
  assert.throws(() => parseOptions({ trustedProxies: ['x'] }, 'gateway'), /\ngateway\.trustedProxies\[0\]: found 'x'/)
})

test('the snapshot is frozen to the ground, and what the caller passed is not', () => {
  const options = { upstreams: { users: { targets: [...targets], strategy: { name: 'mine', sizes: [1] } } } }
  const { upstreams } = parseOptions(options)
  options.upstreams.users.strategy.sizes.push(2)
  options.upstreams.users.targets.push('http://b')

  assert.deepEqual(upstreams.users?.strategy.options, { sizes: [1] })
  assert.equal(upstreams.users?.targets.length, 1)
  assertFrozen(upstreams)
})

function assertFrozen(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  assert.ok(Object.isFrozen(value))
  for (const item of Object.values(value)) assertFrozen(item)
}

test('functions and instances among the options of a strategy stay what they are', () => {
  const [hash, seen] = [() => 1, new Map()]
  const { upstreams } = parseOptions({ upstreams: { users: { strategy: { name: 'mine', hash, seen } } } })

  assert.equal(upstreams.users?.strategy.options.hash, hash)
  assert.equal(upstreams.users?.strategy.options.seen, seen)
  assert.ok(!Object.isFrozen(seen))
})

test('options of a strategy that contain themselves are copied all the same', () => {
  const loop: Record<string, unknown> = {}
  loop.self = loop
  const { upstreams } = parseOptions({ upstreams: { users: { strategy: { name: 'mine', loop } } } })

  const copy = upstreams.users?.strategy.options.loop
  assert.ok(typeof copy === 'object' && copy !== null && 'self' in copy)
  assert.notEqual(copy, loop)
  assert.equal(copy.self, copy)
})

test('PEM may be text or a file, and the snapshot holds the text', () => {
  const pem = readFileSync('test/fixtures/certificate.pem', 'utf8')
  const { upstreams } = parseOptions({
    upstreams: { text: { tls: { ca: pem } }, file: { tls: { ca: 'test/fixtures/certificate.pem' } } }
  })

  assert.equal(upstreams.text?.tls.ca, pem)
  assert.equal(upstreams.file?.tls.ca, pem)
})

test('a key that belongs to another certificate is refused, without a word of it', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const [fault, ...others] = faultsOf(withUpstream({ tls: { cert: 'test/fixtures/certificate.pem', key } }))

  assert.match(fault ?? '', /^options\.upstreams\.users\.tls: found what TLS refuses \(.*key values mismatch\)/)
  assert.deepEqual(others, [])
})

test('the plugin decorates the snapshot of its options', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(config, { upstreams: { users: { targets } } })

  assert.deepEqual(app.gatewayConfig, parseOptions({ upstreams: { users: { targets } } }))
})

test('the plugin decorates a snapshot that was made before', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const snapshot = parseOptions({})
  await app.register(config, { config: snapshot })

  assert.equal(app.gatewayConfig, snapshot)
})

test('the plugin does not start with a fault', async (t) => {
  const app = Fastify()
  t.after(() => app.close())

  await assert.rejects(async () => app.register(config, { trustedProxies: ['x'] }), {
    code: 'FST_GATEWAY_INVALID_CONFIG'
  })
})

test('a misspelt key is a type error too', () => {
  // @ts-expect-error: `target` is not a key of an upstream.
  assert.throws(() => parseOptions({ upstreams: { users: { target: [] } } }))
  // @ts-expect-error: a route needs an upstream or a redirect.
  assert.throws(() => parseOptions({ routes: [{}] }))
})
