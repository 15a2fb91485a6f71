import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouteConfig } from '../plugins/config/index.ts'
import { compileUrlRewrite } from '../plugins/proxy/rewriting/rewrite-url.ts'
import { path, route } from './route-helper.ts'

const prefix = (value: string): RouteConfig['match']['path'] => ({ kind: 'prefix', value })

// The table of HTTPPathModifier.replacePrefixMatch in the Gateway API, apis/v1/httproute_types.go (Apache-2.0).
const gatewayApi = [
  { url: '/foo/bar', match: '/foo', replacement: '/xyz', expected: '/xyz/bar' },
  { url: '/foo/bar', match: '/foo', replacement: '/xyz/', expected: '/xyz/bar' },
  { url: '/foo/bar', match: '/foo/', replacement: '/xyz', expected: '/xyz/bar' },
  { url: '/foo/bar', match: '/foo/', replacement: '/xyz/', expected: '/xyz/bar' },
  { url: '/foo', match: '/foo', replacement: '/xyz', expected: '/xyz' },
  { url: '/foo/', match: '/foo', replacement: '/xyz', expected: '/xyz/' },
  { url: '/foo/bar', match: '/foo', replacement: '', expected: '/bar' },
  { url: '/foo/', match: '/foo', replacement: '', expected: '/' },
  { url: '/foo', match: '/foo', replacement: '', expected: '/' },
  { url: '/foo/', match: '/foo', replacement: '/', expected: '/' },
  { url: '/foo', match: '/foo', replacement: '/', expected: '/' }
]

const spellings = [
  { url: '/users', match: '/', replacement: '/v1', expected: '/v1/users' },
  { url: '/', match: '/', replacement: '/v1', expected: '/v1/' },
  { url: '/f%6fo/b%61r', match: '/foo', replacement: '/xyz', expected: '/xyz/b%61r' },
  { url: '//foo//bar//', match: '/foo', replacement: '/xyz', expected: '/xyz//bar//' },
  { url: '/a//b/c', match: '/a/b', replacement: '/x', expected: '/x/c' },
  { url: '/a%2Fb/c', match: '/a%2fb', replacement: '/x', expected: '/x/c' },
  { url: '/foo/a%2Fb;v=1/"|^', match: '/foo', replacement: '/xyz', expected: '/xyz/a%2Fb;v=1/"|^' },
  { url: '/foo/x', match: '/foo', replacement: '/café au lait', expected: '/caf%C3%A9%20au%20lait/x' },
  { url: '/caf%C3%A9/x', match: '/café', replacement: '/tea', expected: '/tea/x' }
]

for (const { url, match, replacement, expected } of [...gatewayApi, ...spellings]) {
  test(`prefix ${match} replaced by '${replacement}' makes ${expected} of ${url}`, () => {
    const rewrite = compileUrlRewrite(route({ match: { path: prefix(match) }, rewrite: { prefix: replacement } }))

    assert.equal(rewrite?.(url, '?q=%zz'), `${expected}?q=%zz`)
  })
}

test('with an exact path, the prefix is the whole path', () => {
  const rewrite = compileUrlRewrite(route({ match: { path: path('/users/me') }, rewrite: { prefix: '/v1' } }))

  assert.equal(rewrite?.('/users/me', ''), '/v1')
})

test('with a regular expression, the prefix goes before the path', () => {
  const rewrite = compileUrlRewrite(route({ match: { path: path(/x/) }, rewrite: { prefix: '/v1' } }))

  assert.equal(rewrite?.('/xyz', ''), '/v1/xyz')
})

test('a full path replaces the path and keeps the query', () => {
  const rewrite = compileUrlRewrite(route({ rewrite: { path: '/one thing' } }))

  assert.equal(rewrite?.('/full/one/two', '?a'), '/one%20thing?a')
})

const patterns = [
  { from: '^/v(\\d+)/', to: '/version-$1/', url: '/v2/users', expected: '/version-2/users' },
  { from: '^/nothing', to: '/x', url: '/users%2F7', expected: '/users%2F7' },
  { from: '^/old/', to: 'new/', url: '/old/x', expected: '/new/x' },
  { from: '^.*$', to: '', url: '/x', expected: '/' },
  { from: '/a', to: '/b', url: '/a/a', expected: '/b/a' },
  { from: '^/x', to: '/é', url: '/x', expected: '/%C3%A9' }
]

for (const { from, to, url, expected } of patterns) {
  test(`replacing ${from} with '${to}' makes ${expected} of ${url}`, () => {
    const rewrite = compileUrlRewrite(route({ rewrite: { regex: { from, to } } }))

    assert.equal(rewrite?.(url, '?q'), `${expected}?q`)
  })
}

const unsafe = [
  { from: '^/a', to: '', url: '/a../secret' },
  { from: '%25', to: '%', url: '/%252e./x' },
  { from: 'x', to: '%', url: '/x' }
]

for (const { from, to, url } of unsafe) {
  test(`replacing ${from} with '${to}' in ${url} is refused, since the result is not a safe path`, () => {
    const rewrite = compileUrlRewrite(route({ rewrite: { regex: { from, to } } }))

    assert.throws(() => rewrite?.(url, ''), { code: 'FST_GATEWAY_BAD_PATH' })
  })
}

const mounted = [
  { rewrite: { prefix: '/v1' }, url: '/api/users/7', expected: '/v1/7' },
  { rewrite: { prefix: '/v1' }, url: '//api/users', expected: '/v1' },
  { rewrite: { regex: { from: '^/users', to: '/people' } }, url: '/api/users/7', expected: '/people/7' },
  { rewrite: { regex: { from: '^/none', to: '/x' } }, url: '/api/users/7', expected: '/users/7' },
  { rewrite: { path: '/x' }, url: '/api/users', expected: '/x' }
]

for (const { rewrite, url, expected } of mounted) {
  test(`under /api, ${JSON.stringify(rewrite)} makes ${expected} of ${url}`, () => {
    const compiled = compileUrlRewrite(route({ match: { path: path('/users/*') }, rewrite }), { mount: '/api' })

    assert.equal(compiled?.(url, ''), expected)
  })
}

test('a route that rewrites nothing has no rewrite, mounted or not', () => {
  assert.equal(compileUrlRewrite(route()), undefined)
  assert.equal(compileUrlRewrite(route(), { mount: '/api' }), undefined)
})

test('path and query are rewritten together, and each without the other', () => {
  const query = { add: [['b', '2']] satisfies [string, string][] }
  const both = compileUrlRewrite(route({ rewrite: { path: '/x' }, request: { query } }))
  const queryOnly = compileUrlRewrite(route({ request: { query } }))

  assert.equal(both?.('/a', '?a=1'), '/x?a=1&b=2')
  assert.equal(queryOnly?.('/%61//', '?a=1'), '/%61//?a=1&b=2')
})

const invalid: { rewrite: Partial<RouteConfig['rewrite']>; message: RegExp }[] = [
  { rewrite: { path: '/a?b' }, message: /question mark in the path in '\/a\?b'/ },
  { rewrite: { prefix: '/a/../b' }, message: /dot segment/ },
  { rewrite: { path: '/100%' }, message: /malformed percent-escape/ },
  { rewrite: { regex: { from: '(', to: '' } }, message: /Unterminated group/ },
  { rewrite: { regex: { from: 'a', to: '/b?c' } }, message: /more than a path/ }
]

for (const { rewrite, message } of invalid) {
  test(`${JSON.stringify(rewrite)} stops the boot and names the route`, () => {
    assert.throws(() => compileUrlRewrite(route({ id: 'shop', rewrite })), {
      code: 'FST_GATEWAY_INVALID_ROUTE',
      message
    })
    assert.throws(() => compileUrlRewrite(route({ id: 'shop', rewrite })), /'shop'/)
  })
}
