import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileReverse, type ReverseContext } from '../plugins/proxy/rewriting/reverse-rewrite.ts'
import { send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { path, route } from './route-helper.ts'

const context: ReverseContext = { client: 'https://gw.test:8443', target: 'http://10.0.0.1:3001', host: 'app.internal' }

const users = compileReverse(route({ match: { path: path('/users/*') }, rewrite: { prefix: '/v1', reverse: true } }))
const strip = compileReverse(route({ match: { path: path('/app/*') }, rewrite: { prefix: '/', reverse: true } }))
const nest = compileReverse(route({ rewrite: { prefix: '/v1', reverse: true } }))
const plain = compileReverse(route({ rewrite: { reverse: true } }))
const noInverse = compileReverse(route({ rewrite: { path: '/x', reverse: true } }))

// After nginx's proxy_redirect default, with the forms that nginx leaves to explicit rules.
const locations = [
  { name: 'an absolute path', with: users, value: '/v1/7?a#b', expected: '/users/7?a#b' },
  { name: 'the replaced prefix itself', with: users, value: '/v1', expected: '/users' },
  { name: 'the replaced prefix with a query', with: users, value: '/v1?a', expected: '/users?a' },
  { name: 'the replaced prefix with a slash', with: users, value: '/v1/', expected: '/users/' },
  { name: 'a path of another prefix', with: users, value: '/v10/x', expected: '/v10/x' },
  { name: 'a path above the prefix', with: users, value: '/login', expected: '/login' },
  { name: 'a relative path', with: users, value: 'v1/x', expected: 'v1/x' },
  { name: 'a query alone', with: users, value: '?page=2', expected: '?page=2' },
  { name: 'an empty value', with: users, value: '', expected: '' },
  {
    name: 'the target by address',
    with: users,
    value: 'http://10.0.0.1:3001/v1/7',
    expected: 'https://gw.test:8443/users/7'
  },
  {
    name: 'the target by Host',
    with: users,
    value: 'http://app.internal/v1/7',
    expected: 'https://gw.test:8443/users/7'
  },
  {
    name: 'the target in capitals',
    with: users,
    value: 'HTTP://APP.Internal/v1',
    expected: 'https://gw.test:8443/users'
  },
  { name: 'the default port', with: users, value: 'http://app.internal:80/v1', expected: 'https://gw.test:8443/users' },
  { name: 'the target without path', with: users, value: 'http://app.internal', expected: 'https://gw.test:8443/' },
  {
    name: 'the target with a query only',
    with: users,
    value: 'http://app.internal?a',
    expected: 'https://gw.test:8443/?a'
  },
  {
    name: 'the target above the prefix',
    with: users,
    value: 'http://app.internal/x',
    expected: 'https://gw.test:8443/x'
  },
  { name: 'a scheme-relative URL', with: users, value: '//app.internal/v1/7', expected: '//gw.test:8443/users/7' },
  { name: 'a stripped prefix', with: strip, value: '/x', expected: '/app/x' },
  {
    name: 'the root of a stripped prefix',
    with: strip,
    value: 'http://app.internal/',
    expected: 'https://gw.test:8443/app/'
  },
  { name: 'a nested prefix', with: nest, value: '/v1/x', expected: '/x' },
  { name: 'a nested prefix alone', with: nest, value: '/v1?a', expected: '/?a' },
  { name: 'the host alone', with: plain, value: 'http://app.internal/v1', expected: 'https://gw.test:8443/v1' },
  {
    name: 'a path without inverse',
    with: noInverse,
    value: 'http://app.internal/x',
    expected: 'https://gw.test:8443/x'
  }
]

for (const { name, with: reverse, value, expected } of locations) {
  test(`reverse of ${name}: '${value}'`, () => {
    const pairs = ['X', '/v1/x', 'Location', value, 'content-location', value]
    reverse?.(pairs, context)

    assert.deepEqual(pairs, ['X', '/v1/x', 'Location', expected, 'content-location', expected])
  })
}

const foreign = [
  'https://other.example/v1/x',
  '//other.example/v1/x',
  '///app.internal/v1',
  '/\\app.internal/v1',
  'https://app.internal/v1',
  'http://app.internal:8080/v1',
  'http://app.internal@other.example/v1',
  'http://user@app.internal/v1',
  'http://app.internal\\@other.example/v1',
  'http://app.internal.other.example/v1',
  'ftp://app.internal/v1',
  'mailto:a@app.internal'
]

for (const value of foreign) {
  test(`'${value}' is not the target's and stays as it is`, () => {
    const pairs = ['location', value]
    users?.(pairs, context)

    assert.deepEqual(pairs, ['location', value])
  })
}

for (const value of ['/v1//evil.example', '/v1/\\evil.example', '/v1/\t/evil.example']) {
  test(`${JSON.stringify(value)} does not become the URL of another host`, () => {
    const named = ['location', value]
    const nameless = ['location', value]
    nest?.(named, context)
    nest?.(nameless, { ...context, client: '' })

    assert.deepEqual(named, ['location', `https://gw.test:8443${value.slice(3)}`])
    assert.deepEqual(nameless, ['location', value])
  })
}

test('a client that named no host gets paths', () => {
  const pairs = ['location', 'http://app.internal/v1/7', 'location', 'http://app.internal/v1//evil.example']
  nest?.(pairs, { ...context, client: '' })

  assert.deepEqual(pairs, ['location', '/7', 'location', 'http://app.internal/v1//evil.example'])
})

test('an https target is recognised with and without its default port', () => {
  const pairs = [
    'location',
    'https://app.internal:443/v1',
    'location',
    'https://10.0.0.1/v1',
    'location',
    'http://10.0.0.1/v1'
  ]
  users?.(pairs, { ...context, target: 'https://10.0.0.1:443' })

  assert.deepEqual(pairs, [
    'location',
    'https://gw.test:8443/users',
    'location',
    'https://gw.test:8443/users',
    'location',
    'http://10.0.0.1/v1'
  ])
})

const refreshes = [
  { value: '5; url=/v1/x', expected: '5; url=/users/x' },
  { value: '0;URL = http://app.internal/v1', expected: '0;URL = https://gw.test:8443/users' },
  { value: '5; url="/v1/x"; y', expected: '5; url="/users/x"; y' },
  { value: "5, url='/v1/x", expected: "5, url='/users/x" },
  { value: '5; url=//other.example/v1', expected: '5; url=//other.example/v1' },
  { value: '5', expected: '5' }
]

for (const { value, expected } of refreshes) {
  test(`reverse of the refresh ${value}`, () => {
    const pairs = ['Refresh', value]
    users?.(pairs, context)

    assert.deepEqual(pairs, ['Refresh', expected])
  })
}

// After nginx's proxy_cookie_domain and proxy_cookie_path.
const cookies = [
  { with: users, value: 'a=1; Path=/v1/x; Secure', expected: 'a=1; Path=/users/x; Secure' },
  { with: users, value: 'a=1;PATH = /v1 ;HttpOnly', expected: 'a=1;PATH = /users ;HttpOnly' },
  { with: users, value: 'a=1; path=/v10', expected: 'a=1; path=/v10' },
  { with: users, value: 'a=1; path=/', expected: 'a=1; path=/' },
  { with: users, value: 'a=Path=/v1; Max-Age=1', expected: 'a=Path=/v1; Max-Age=1' },
  { with: users, value: 'a=1; x-path=/v1; path; path=', expected: 'a=1; x-path=/v1; path; path=' },
  { with: users, value: 'a=1; Domain=app.internal', expected: 'a=1; Domain=gw.test' },
  { with: users, value: 'a=1; domain=.APP.internal; path=/v1', expected: 'a=1; domain=gw.test; path=/users' },
  { with: users, value: 'a=1; Domain=10.0.0.1', expected: 'a=1; Domain=gw.test' },
  { with: users, value: 'a=1; Domain=internal', expected: 'a=1; Domain=internal' },
  { with: users, value: 'a=1; Domain=.GW.test', expected: 'a=1; Domain=.GW.test' },
  { with: users, value: 'a=1; Domain=; Secure', expected: 'a=1; Domain=; Secure' },
  { with: strip, value: 'a=1; Path=/', expected: 'a=1; Path=/app' },
  { with: strip, value: 'a=1; Path=/x/', expected: 'a=1; Path=/app/x/' },
  { with: nest, value: 'a=1; Path=/v1', expected: 'a=1; Path=/' },
  { with: plain, value: 'a=1; Path=/v1; Domain=app.internal', expected: 'a=1; Path=/v1; Domain=gw.test' }
]

for (const { with: reverse, value, expected } of cookies) {
  test(`reverse of the cookie '${value}'`, () => {
    const pairs = ['set-cookie', 'first=1', 'Set-Cookie', value]
    reverse?.(pairs, context)

    assert.deepEqual(pairs, ['set-cookie', 'first=1', 'Set-Cookie', expected])
  })
}

test('a cookie keeps its domain when the client named no host', () => {
  const pairs = ['set-cookie', 'a=1; Domain=app.internal']
  plain?.(pairs, { ...context, client: '' })

  assert.deepEqual(pairs, ['set-cookie', 'a=1; Domain=app.internal'])
})

test('a cookie for the host that the client named keeps its bytes', () => {
  const pairs = ['set-cookie', 'a=1; Domain=.GW.test']
  plain?.(pairs, { ...context, host: 'gw.test:8443' })

  assert.deepEqual(pairs, ['set-cookie', 'a=1; Domain=.GW.test'])
})

test('the way back leads through the mount', () => {
  const sketch = route({ match: { path: path('/users/*') }, rewrite: { prefix: '/v1', reverse: true } })
  const pairs = ['location', '/v1/7']
  compileReverse(sketch, { mount: '/api' })?.(pairs, context)

  assert.deepEqual(pairs, ['location', '/api/users/7'])
})

test('without rewrite.reverse there is no way back', () => {
  assert.equal(compileReverse(route({ rewrite: { prefix: '/v1' } })), undefined)
})

test('the way back leads to the trusted proxy in front, as it says it was reached', async (t) => {
  const target = await startTarget(t, ({ headers }, response) => {
    response.setHeader('location', `http://${headers.host}/v1/7`)
    response.end()
  })
  const route = { match: { path: '/users/*' }, rewrite: { prefix: '/v1', host: 'target', reverse: true } }
  const headers = { host: 'www.test:8443', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.test' }
  const trusting = await startGateway(t, [target.url], { route, options: { trustedProxies: ['loopback'] } })
  const distrusting = await startGateway(t, [target.url], { route })

  const replies = await Promise.all(
    [trusting, distrusting].map(({ port }) => send(port, { path: '/users/7', headers }))
  )

  assert.deepEqual(
    replies.map((reply) => reply.headers.location),
    ['https://www.test:8443/users/7', 'http://www.test:8443/users/7']
  )
})
