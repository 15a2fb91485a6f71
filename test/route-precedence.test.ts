import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Asked, at, exact, find, type RouteSketch } from './route-helper.ts'

// Each list is in order of precedence; the request matches all of it.
const precedence: { name: string; winners: RouteSketch[]; asked: Asked }[] = [
  {
    name: 'exact host, longer wildcard, shorter wildcard, any host',
    winners: [
      at('/*', { id: 'exact', match: { hosts: ['a.b.example.com'] } }),
      at('/x', { id: 'longer', match: { hosts: ['*.b.example.com'] } }),
      at('/x', { id: 'shorter', match: { hosts: ['*.example.com'] } }),
      at('/x', { id: 'any' })
    ],
    asked: { host: 'a.b.example.com', path: '/x' }
  },
  {
    name: 'exact path, longest prefix, longer regex, shorter regex, the rest',
    winners: [at('/a/b'), at('/a/b/*'), at('/a/*'), at(/^\/a\/b/), at(/b/), at('/*')],
    asked: { path: '/a/b' }
  },
  {
    name: 'method, number of headers, number of parameters, order in the list',
    winners: [
      { id: 'method', match: { methods: ['GET'] } },
      { id: 'headers', match: { headers: [exact('x-a', '1'), exact('x-b', '2')] } },
      { id: 'header and parameter', match: { headers: [exact('x-a', '1')], query: [exact('a', '1')] } },
      { id: 'header', match: { headers: [exact('x-a', '1')] } },
      { id: 'parameters', match: { query: [exact('a', '1'), exact('b', '2')] } },
      { id: 'parameter', match: { query: [exact('a', '1')] } },
      { id: 'first of equals' },
      { id: 'second of equals' }
    ],
    asked: { headers: { 'x-a': '1', 'x-b': '2' }, query: '?a=1&b=2' }
  },
  {
    name: 'explicit order before everything else',
    winners: [
      at('/*', { id: 'minus two', order: -2 }),
      at(/x/, { id: 'minus one', order: -1 }),
      at('/x', { id: 'zero', order: 0 }),
      at('/x', { id: 'one, by host', order: 1, match: { hosts: ['*.test'] } }),
      at('/x', { id: 'one', order: 1 }),
      at('/x', { id: 'two', order: 2, match: { hosts: ['a.test'] } }),
      at('/x', { id: 'none', match: { hosts: ['a.test'] } })
    ],
    asked: { host: 'a.test', path: '/x' }
  }
]

for (const { name, winners, asked } of precedence) {
  test(`precedence: ${name}`, () => {
    const ids = winners.map(({ id }) => id)
    const left = name.includes('order in the list') ? [...winners] : [...winners].reverse()
    const found: (string | undefined)[] = []
    while (left.length > 0) {
      const id = find(left, asked)
      found.push(id)
      left.splice(
        left.findIndex((sketch) => sketch.id === id),
        1
      )
    }

    assert.deepEqual(found, ids)
  })
}

test('the host comes before the path, and another host is tried when the path fails', () => {
  const sketches = [at('/x', { id: 'any' }), at('/y', { id: 'host', match: { hosts: ['a.test'] } })]

  assert.equal(find(sketches, { host: 'a.test', path: '/x' }), 'any')
  assert.equal(find(sketches, { host: 'a.test', path: '/y' }), 'host')
})

test('a route with several hosts has the precedence of the host that matched', () => {
  const sketches = [
    at('/*', { id: 'wildcard', match: { hosts: ['*.test'] } }),
    at('/*', { id: 'several', match: { hosts: ['a.test', '*.example.com', '*'] } })
  ]

  assert.equal(find(sketches, { host: 'a.test' }), 'several')
  assert.equal(find(sketches, { host: 'b.test' }), 'wildcard')
  assert.equal(find(sketches, { host: 'c.example.com' }), 'several')
  assert.equal(find(sketches, { host: 'other' }), 'several')
})
