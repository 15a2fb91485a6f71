import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from '../plugins/config/index.ts'

type Input = Parameters<typeof parseOptions>[0]

function activeOf(active: unknown) {
  const input: Input = JSON.parse(JSON.stringify({ upstreams: { users: { health: { active } } } }))
  return parseOptions(input).upstreams.users?.health.active
}

function faultOf(active: unknown): string {
  try {
    activeOf(active)
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll('options.upstreams.users.health.', '') : ''
  }
  return 'none'
}

test('active checks have their defaults, and none are made where nothing is said of them', () => {
  assert.equal(parseOptions({ upstreams: { users: {} } }).upstreams.users?.health.active, undefined)
  assert.deepEqual(activeOf({ path: '/healthz' }), {
    enabled: true,
    type: 'http',
    path: '/healthz',
    headers: {},
    bodyLimit: 16_384,
    interval: 15_000,
    jitter: 0.1,
    timeout: 5_000,
    fall: 3,
    rise: 2,
    required: false,
    concurrency: 100
  })
})

test('statuses, bodies and headers of active checks are brought into one form', () => {
  const active = activeOf({
    path: '/',
    method: 'head',
    headers: { 'X-Token': 'abc', Host: 'api.internal' },
    status: [204, '200-299', '404']
  })

  assert.equal(active?.method, 'HEAD')
  assert.deepEqual(active?.headers, { 'x-token': 'abc', host: 'api.internal' })
  assert.deepEqual(active?.status, [
    { from: 204, to: 204 },
    { from: 200, to: 299 },
    { from: 404, to: 404 }
  ])
  assert.deepEqual(activeOf({ path: '/', body: 'ok' })?.body, { kind: 'text', value: 'ok' })
  assert.deepEqual(activeOf({ path: '/', body: { regex: '^ok' } })?.body, { kind: 'regex', value: '^ok' })
})

const faults: [name: string, active: unknown, expected: string][] = [
  ['a request without a path', {}, 'active.path: found nothing, expected a path that starts with /, such as /healthz'],
  ['a path beside TCP', { type: 'tcp', path: '/' }, 'active.path: found path beside type tcp, which has none'],
  [
    'headers beside TCP',
    { type: 'tcp', headers: { a: 'b' } },
    'active.headers: found headers beside type tcp, which has none'
  ],
  [
    'a service beside HTTP',
    { path: '/', service: 'a' },
    'active.service: found service beside type http, which has none'
  ],
  [
    'a status that is none',
    { path: '/', status: ['2xx'] },
    "active.status[0]: found '2xx', expected a status from 200 to 599, or a range such as 200-399"
  ],
  [
    'a range that is upside down',
    { path: '/', status: ['399-200'] },
    "active.status[0]: found '399-200', expected a status from 200 to 599, or a range such as 200-399"
  ],
  [
    'a path with a fragment',
    { path: '/a#b' },
    "active.path: found '/a#b', expected a path that starts with /, with a query or without"
  ],
  [
    'a pattern that is none',
    { path: '/', body: { regex: '(' } },
    "active.body.regex: found '(', expected a regular expression"
  ],
  ['no failure at all', { path: '/', fall: 0 }, 'active.fall: found 0, expected a whole number, 1 or more'],
  [
    'no interval',
    { path: '/', interval: 0 },
    'active.interval: found 0, expected a duration above 0 such as 250ms, 10s, 5m, or a number of milliseconds'
  ],
  [
    'a header of the connection',
    { path: '/', headers: { Connection: 'close' } },
    "active.headers.Connection: found 'Connection', expected a header name other than those of connection and body"
  ]
]

for (const [name, active, expected] of faults) {
  test(`refused: ${name}`, () => {
    assert.ok(faultOf(active).includes(expected), faultOf(active))
  })
}

test('refused: a rate of slow responses where nothing says what is slow', () => {
  for (const slowAfter of [undefined, 0, '0s']) {
    const breaker = { slowRate: 0.5, ...(slowAfter === undefined ? {} : { slowAfter }) }
    assert.throws(
      () => parseOptions({ upstreams: { users: { circuitBreaker: { target: breaker } } } }),
      /circuitBreaker\.target\.slowRate: found slowRate without slowAfter, which says what is slow/
    )
  }
  parseOptions({ upstreams: { users: { circuitBreaker: { target: { slowRate: 0.5, slowAfter: '1s' } } } } })
})
