import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerOf, letterOf, scripted } from './balancer-helper.ts'

const servers = ['h1:1', 'h2:1 weight=3', 'h3:1 weight=0', 'h4:1 weight=2']

const cases = [
  { name: 'the first share', draws: [0], expected: 'a' },
  { name: 'the end of the first share', draws: [0.166], expected: 'a' },
  { name: 'the second share', draws: [0.167], expected: 'b' },
  { name: 'the end of the second share', draws: [0.666], expected: 'b' },
  { name: 'the last share, weight 0 having none', draws: [0.667], expected: 'd' },
  { name: 'the end of the last share', draws: [1 - Number.EPSILON / 2], expected: 'd' }
]
for (const { name, draws, expected } of cases) {
  test(`random: ${name}`, () => {
    const balancer = balancerOf({ strategy: 'random', servers, random: scripted(draws) })

    assert.equal(letterOf(balancer, balancer.get()), expected)
  })
}

test('random: shares are in proportion to the weights', () => {
  const draws = Array.from({ length: 600 }, (_, index) => index / 600)
  const balancer = balancerOf({ strategy: 'random', servers, random: scripted(draws) })

  assert.deepEqual(
    countPicks(draws.length, () => letterOf(balancer, balancer.get())),
    { a: 100, b: 300, d: 200 }
  )
})

test('random: the share of a target that is down goes to the others in proportion to their weights', () => {
  const strata = Array.from({ length: 30 }, (_, index) => index / 30)
  const draws = strata.flatMap((first) => strata.map((second) => [first, second] as const))
  const balancerFor = (pair: readonly number[]) =>
    balancerOf({ strategy: 'random', servers: ['h1:1', 'h2:1 weight=3 down', 'h4:1 weight=2'], random: scripted(pair) })

  const counts = countPicks(draws.length, (index) => {
    const balancer = balancerFor(draws[index] ?? [])
    return letterOf(balancer, balancer.get())
  })

  assert.deepEqual(counts, { a: 300, c: 600 })
})

test('random: removing a target takes its share away', () => {
  const balancer = balancerOf({ strategy: 'random', servers: ['h1:1 weight=98', 'h2:1', 'h3:1'], random: () => 0.4 })

  balancer.remove('http://h1:1')

  assert.equal(balancer.get()?.url, 'http://h2:1')
})

function countPicks(count: number, pick: (index: number) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let index = 0; index < count; index++) {
    const letter = pick(index)
    counts[letter] = (counts[letter] ?? 0) + 1
  }
  return counts
}
