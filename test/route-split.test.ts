import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSplit } from '../plugins/proxy/routing/split.ts'

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

    assert.equal(choose(), expected)
  })
}

test('over even draws every upstream gets exactly its share', () => {
  let draw = 0
  const choose = createSplit(shares, () => draw++ / 1000)
  const counts = new Map<string | undefined, number>()
  for (let i = 0; i < 1000; i++) {
    const upstream = choose()
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

  assert.equal(choose(), 'only')
  assert.equal(draws, 0)
})

test('without any weight there is no upstream', () => {
  const choose = createSplit([{ upstream: 'off', weight: 0 }], () => 0)

  assert.equal(choose(), undefined)
})
