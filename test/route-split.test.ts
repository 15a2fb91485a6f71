import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSplit } from '../plugins/proxy/routing/split.ts'
import { pick, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

const shares = [
  { upstream: 'off', weight: 0 },
  { upstream: 'blue', weight: 90 },
  { upstream: 'none', weight: 0 },
  { upstream: 'green', weight: 10 },
  { upstream: 'never', weight: 0 }
]

const cases = [
  { draw: 0, expected: 'blue' },
  { draw: 0.899, expected: 'blue' },
  { draw: 0.9, expected: 'green' },
  { draw: 0.9999999999999999, expected: 'green' }
]

for (const { draw, expected } of cases) {
  test(`a draw of ${draw} falls into the share of ${expected}`, () => {
    const choose = createSplit(shares, () => draw)

    assert.equal(choose()?.upstream, expected)
  })
}

test('over even draws every upstream gets exactly its share', () => {
  let draw = 0
  const choose = createSplit(shares, () => draw++ / 1000)
  const counts = new Map<string | undefined, number>()
  for (let i = 0; i < 1000; i++) {
    const upstream = choose()?.upstream
    counts.set(upstream, (counts.get(upstream) ?? 0) + 1)
  }

  assert.deepEqual(
    [...counts],
    [
      ['blue', 900],
      ['green', 100]
    ]
  )
})

test('a single upstream needs no random number', () => {
  let draws = 0
  const choose = createSplit([{ upstream: 'only', weight: 3 }], () => draws++)

  assert.equal(choose()?.upstream, 'only')
  assert.equal(draws, 0)
})

test('without any weight there is no upstream', () => {
  const choose = createSplit([{ upstream: 'off', weight: 0 }], () => 0)

  assert.equal(choose(), undefined)
})

test('each upstream of a split has header rules of its own, applied after those of the route', async (t) => {
  const heads: string[][] = []
  const target = await startTarget(t, ({ rawHeaders }, response) => {
    heads.push(rawHeaders)
    response.end()
  })
  let draw = 0.1
  t.mock.method(Math, 'random', () => draw)
  const rule = (name: string) => ({ headers: { set: { 'x-to': name }, add: { 'x-all': name }, remove: ['x-own'] } })
  const { port } = await startGateway(t, [target.url], {
    more: { next: { targets: [target.url] } },
    route: {
      upstream: [
        { upstream: 'users', request: rule('users') },
        { upstream: 'next', request: rule('next') }
      ],
      request: { headers: { set: { 'x-to': 'route', 'x-own': 'route' }, add: { 'x-all': 'route' } } }
    }
  })

  await send(port)
  draw = 0.9
  await send(port)

  assert.deepEqual(
    heads.map((head) => ['x-to', 'x-all', 'x-own'].map((name) => pick(head, name))),
    [
      [['users'], ['route', 'users'], []],
      [['next'], ['route', 'next'], []]
    ]
  )
})
