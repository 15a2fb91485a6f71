import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerOf, letterOf, scripted } from './balancer-helper.ts'

const cases = [
  { name: 'the fewest in flight', weights: [1, 1, 1], loads: [2, 1, 3], draws: [], expected: 'b' },
  { name: 'the fewest for its weight', weights: [4, 1, 1], loads: [2, 1, 1], draws: [], expected: 'a' },
  {
    name: 'the heaviest of the idle, for the one to come counts',
    weights: [1, 5, 1],
    loads: [0, 0, 0],
    draws: [],
    expected: 'b'
  },
  { name: 'a tie, decided for the first', weights: [1, 1, 1], loads: [1, 1, 3], draws: [0.5], expected: 'a' },
  { name: 'a tie, decided for the second', weights: [1, 1, 1], loads: [1, 1, 3], draws: [0.49], expected: 'b' },
  {
    name: 'a tie of three, decided for the third',
    weights: [1, 1, 1],
    loads: [0, 0, 0],
    draws: [0.9, 0.33],
    expected: 'c'
  },
  {
    name: 'a tie of three, decided for the second',
    weights: [1, 1, 1],
    loads: [0, 0, 0],
    draws: [0.1, 0.34],
    expected: 'b'
  },
  { name: 'a tie that a better target ends', weights: [1, 1, 1], loads: [1, 1, 0], draws: [0.1], expected: 'c' },
  {
    name: 'a tie of two after a tie of two',
    weights: [1, 1, 1, 1],
    loads: [2, 2, 1, 1],
    draws: [0.9, 0.49],
    expected: 'd'
  },
  { name: 'nobody of weight 0', weights: [0, 1, 1], loads: [0, 2, 1], draws: [], expected: 'c' }
]
for (const { name, weights, loads, draws, expected } of cases) {
  test(`least connections: ${name}`, () => {
    const servers = weights.map((weight, index) => `h${index}:1 weight=${weight}`)
    const balancer = balancerOf({ strategy: 'least-connections', servers, random: scripted(draws) })
    balancer.targets.forEach((target, index) => {
      for (let count = 0; count < (loads[index] ?? 0); count++) balancer.acquire(target)
    })

    assert.equal(letterOf(balancer, balancer.get()), expected)
  })
}

test('least connections: the tied are equally likely', () => {
  const strata = Array.from({ length: 6 }, (_, index) => (index + 0.5) / 6)
  const picks = strata.flatMap((first) =>
    strata.map((second) => {
      const random = scripted([first, second])
      const balancer = balancerOf({ strategy: 'least-connections', servers: ['h1:1', 'h2:1', 'h3:1'], random })
      return letterOf(balancer, balancer.get())
    })
  )

  assert.deepEqual(
    ['a', 'b', 'c'].map((letter) => picks.filter((pick) => pick === letter).length),
    [12, 12, 12]
  )
})

test('least connections: a removed target is not picked, however idle', () => {
  const balancer = balancerOf({ strategy: 'least-connections', servers: ['h1:1 weight=9', 'h2:1 weight=2', 'h3:1'] })

  balancer.remove('http://h1:1')

  assert.equal(balancer.get()?.url, 'http://h2:1')
})
