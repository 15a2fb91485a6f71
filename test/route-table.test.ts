import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { createRouteTable } from '../plugins/proxy/routing/route-table.ts'
import { type Asked, at, exact, find, path, present, type RouteSketch, regex, route } from './route-helper.ts'

const paths = [
  { pattern: '/users', hits: ['/users'], misses: ['/users/', '/users/7', '/user', '/users7', '/Users', '/'] },
  { pattern: '/users/', hits: ['/users/'], misses: ['/users', '/users/7'] },
  {
    pattern: '/users/*',
    hits: ['/users', '/users/', '/users/7', '/users/7/'],
    misses: ['/users7', '/user', '/x/users']
  },
  { pattern: '/a/b/*', hits: ['/a/b', '/a/b/c/d'], misses: ['/a', '/a/', '/a/bc', '/b'] },
  { pattern: '/*', hits: ['/', '/a', '/a/b'], misses: ['*', ''] },
  { pattern: '/', hits: ['/'], misses: ['/a', '*'] },
  { pattern: /^\/v\d+\//, hits: ['/v1/x', '/v22/'], misses: ['/v1', '/x/v1/', '/vx/'] },
  { pattern: /7$/, hits: ['/7', '/users/7'], misses: ['/7/'] },
  { pattern: '/%75sers//x', hits: ['/users/x'], misses: ['/users//x', '/%75sers/x'] },
  { pattern: '/café/a%2fb/*', hits: ['/caf%C3%A9/a%2Fb', '/caf%C3%A9/a%2Fb/c'], misses: ['/caf%C3%A9/a/b'] }
]

for (const { pattern, hits, misses } of paths) {
  test(`${pattern} matches ${hits.join(' ')} and not ${misses.join(' ')}`, () => {
    const table = createRouteTable([route(at(pattern))])
    const matches = (asked: string) => table.find('GET', undefined, asked, {}, '') !== undefined

    assert.deepEqual(hits.filter(matches), hits)
    assert.deepEqual(misses.filter(matches), [])
  })
}

const hosts = [
  {
    pattern: 'api.example.com',
    hits: ['api.example.com'],
    misses: ['example.com', 'x.api.example.com', 'evilapi.example.com']
  },
  { pattern: 'API.Example.com', hits: ['api.example.com'], misses: [] },
  { pattern: '*.example.com', hits: ['a.example.com', 'a.b.example.com'], misses: ['example.com', 'evilexample.com'] },
  { pattern: '[0:0::1]', hits: ['[::1]'], misses: ['[::2]'] },
  { pattern: '*', hits: ['a', 'a.b'], misses: [] }
]

for (const { pattern, hits, misses } of hosts) {
  test(`the host ${pattern} matches ${hits.join(' ')} and not ${misses.join(' ')}`, () => {
    const table = createRouteTable([route({ match: { hosts: [pattern] } })])
    const matches = (asked: string) => table.find('GET', asked, '/', {}, '') !== undefined

    assert.deepEqual(hits.filter(matches), hits)
    assert.deepEqual(misses.filter(matches), [])
  })
}

test('a request without host matches only routes for any host', () => {
  const named = { id: 'named', match: { hosts: ['example.com', '*.example.com'] } }

  assert.equal(find([named], {}), undefined)
  assert.equal(find([named, { id: 'any' }], {}), 'any')
})

const conditions: { name: string; match: RouteSketch['match']; asked: Asked; hit: boolean }[] = [
  { name: 'a listed method', match: { methods: ['PUT', 'GET'] }, asked: { method: 'GET' }, hit: true },
  { name: 'another method', match: { methods: ['PUT', 'GET'] }, asked: { method: 'POST' }, hit: false },
  { name: 'HEAD where GET is listed', match: { methods: ['GET'] }, asked: { method: 'HEAD' }, hit: false },
  { name: 'an equal header', match: { headers: [exact('x-a', '1')] }, asked: { headers: { 'x-a': '1' } }, hit: true },
  { name: 'another value', match: { headers: [exact('x-a', '1')] }, asked: { headers: { 'x-a': '11' } }, hit: false },
  { name: 'a missing header', match: { headers: [exact('x-a', '')] }, asked: {}, hit: false },
  { name: 'an empty header', match: { headers: [exact('x-a', '')] }, asked: { headers: { 'x-a': '' } }, hit: true },
  {
    name: 'a header by pattern',
    match: { headers: [regex('x-a', '^1')] },
    asked: { headers: { 'x-a': '12' } },
    hit: true
  },
  {
    name: 'a header off pattern',
    match: { headers: [regex('x-a', '^1')] },
    asked: { headers: { 'x-a': '21' } },
    hit: false
  },
  { name: 'a missing header with a pattern', match: { headers: [regex('x-a', '')] }, asked: {}, hit: false },
  { name: 'a present header', match: { headers: [present('x-a')] }, asked: { headers: { 'x-a': '' } }, hit: true },
  { name: 'an absent header', match: { headers: [present('x-a')] }, asked: { headers: { 'x-b': '1' } }, hit: false },
  { name: 'no header of Object.prototype', match: { headers: [present('constructor')] }, asked: {}, hit: false },
  {
    name: 'a repeated header as Node joins it',
    match: { headers: [exact('set-cookie', 'a, b')] },
    asked: { headers: { 'set-cookie': ['a', 'b'] } },
    hit: true
  },
  {
    name: 'one header of two',
    match: { headers: [exact('x-a', '1'), exact('x-b', '2')] },
    asked: { headers: { 'x-a': '1' } },
    hit: false
  },
  { name: 'an equal parameter', match: { query: [exact('a', 'x y')] }, asked: { query: '?b&%61=x+y' }, hit: true },
  {
    name: 'the second of a repeated parameter',
    match: { query: [exact('a', '2')] },
    asked: { query: '?a=1&a=2' },
    hit: false
  },
  { name: 'a parameter by pattern', match: { query: [regex('a', '^\\d$')] }, asked: { query: '?a=%31' }, hit: true },
  { name: 'a present parameter', match: { query: [present('a')] }, asked: { query: '?a' }, hit: true },
  { name: 'an absent parameter', match: { query: [present('a')] }, asked: { query: '?A=1' }, hit: false }
]

for (const { name, match, asked, hit } of conditions) {
  test(`${name} ${hit ? 'matches' : 'does not match'}`, () => {
    assert.equal(find([{ id: 'hit', match: match ?? {} }], asked), hit ? 'hit' : undefined)
  })
}

const mounted = [
  { pattern: '/users/*', hits: ['/api/users', '/api/users/7'], misses: ['/users', '/apix/users', '/api'] },
  { pattern: '/', hits: ['/api', '/api/'], misses: ['/', '/api/x'] },
  { pattern: '/*', hits: ['/api', '/api/', '/api/x'], misses: ['/', '/apix', '/x/api'] },
  { pattern: /^\/v1/, hits: ['/api/v1'], misses: ['/v1', '/api/api/v1'] }
]

for (const { pattern, hits, misses } of mounted) {
  test(`under /api, ${pattern} matches ${hits.join(' ')} and not ${misses.join(' ')}`, () => {
    const matches = (asked: string) => find([at(pattern)], { path: asked }, '/api/') !== undefined

    assert.deepEqual(hits.filter(matches), hits)
    assert.deepEqual(misses.filter(matches), [])
  })
}

test('the table gives back the very object it was made from', () => {
  const carried = { ...route(), extra: Symbol('mine') }

  assert.equal(createRouteTable([carried]).find('GET', undefined, '/', {}, ''), carried)
})

const invalid: { sketch: RouteSketch; reason: string }[] = [
  { sketch: at('users'), reason: "no leading slash in 'users'" },
  { sketch: at('/a/../b'), reason: "dot segment in '/a/../b'" },
  { sketch: at('/100%/*'), reason: "malformed percent-escape in '/100%'" },
  { sketch: at('/a?b'), reason: "question mark in the path in '/a?b'" },
  {
    sketch: { match: { path: { kind: 'regex', value: '(' } } },
    reason: 'Invalid regular expression: /(/: Unterminated group'
  },
  { sketch: { match: { hosts: ['a/b'] } }, reason: "'a/b' is not a host" },
  { sketch: { match: { hosts: ['*.'] } }, reason: "'*.' is not a host" },
  {
    sketch: { match: { query: [regex('a', '[')] } },
    reason: 'Invalid regular expression: /[/: Unterminated character class'
  }
]

for (const { sketch, reason } of invalid) {
  test(`a route that cannot work stops the boot: ${reason}`, () => {
    assert.throws(() => createRouteTable([route({ ...sketch, id: 'shop' })]), {
      code: 'FST_GATEWAY_INVALID_ROUTE',
      message: `Route 'shop' is invalid: ${reason}`
    })
  })
}

// A header lookup happens once per candidate that is examined, so counting them counts candidates without a clock.
function candidatesExamined(routes: number, asked: { host: string; path: string }): number {
  const sketches = Array.from({ length: routes }, (_, i) => ({
    match: {
      path: path(i % 2 === 0 ? `/service-${i}/items/*` : `/service-${i}`),
      hosts: [['a.test'], ['*.test'], []][i % 3] ?? [],
      headers: [present('x-a')]
    }
  }))
  let lookups = 0
  const headers = new Proxy<IncomingHttpHeaders>({}, { get: () => void lookups++ })
  createRouteTable(sketches.map(route)).find('GET', asked.host, asked.path, headers, '')
  return lookups
}

test('with 1,000 routes a search examines no more candidates than with 10', () => {
  for (const asked of [
    { host: 'a.test', path: '/service-6/items/7' },
    { host: 'b.test', path: '/service-4/items' },
    { host: 'other', path: '/service-5' },
    { host: 'a.test', path: '/none/of/them' }
  ]) {
    const few = candidatesExamined(10, asked)

    assert.equal(candidatesExamined(1000, asked), few)
    assert.equal(few, asked.path === '/none/of/them' ? 0 : 1)
  }
})
