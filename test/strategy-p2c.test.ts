import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerOf, exchange, hold, letterOf, scripted, seeded } from './balancer-helper.ts'

const cases = [
  { name: 'the less busy of the two drawn', loads: [2, 1, 0], draws: [0, 0], expected: 'b' },
  { name: 'the less busy, though drawn first', loads: [1, 2, 0], draws: [0, 0], expected: 'a' },
  { name: 'the third, drawn second after the first', loads: [1, 0, 0], draws: [0, 0.5], expected: 'c' },
  { name: 'the first, drawn second after the last', loads: [0, 0, 1], draws: [0.99, 0], expected: 'a' },
  { name: 'the first drawn of two as busy', loads: [1, 1, 0], draws: [0, 0], expected: 'a' },
  { name: 'the first drawn of two as busy, the other way round', loads: [1, 1, 0], draws: [0.34, 0], expected: 'b' }
]
for (const { name, loads, draws, expected } of cases) {
  test(`p2c: ${name}`, () => {
    const balancer = balancerOf({ strategy: 'p2c', servers: ['h1:1', 'h2:1', 'h3:1'], random: scripted(draws) })
    balancer.targets.forEach((target, index) => {
      for (let count = 0; count < (loads[index] ?? 0); count++) balancer.acquire(target)
    })

    assert.equal(letterOf(balancer, balancer.get()), expected)
  })
}

test('p2c: every pair of two different targets is drawn as often as any other', () => {
  const strata = Array.from({ length: 12 }, (_, index) => (index + 0.5) / 12)
  const counts: Record<string, number> = {}
  for (const first of strata) {
    for (const second of strata) {
      const random = scripted([first, second])
      const balancer = balancerOf({ strategy: 'p2c', servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1'], random })
      // All but the first drawn are idle, so that the second drawn shows.
      const drawn = balancer.targets[Math.floor(first * 4)]
      assert.ok(drawn)
      balancer.acquire(drawn)
      const pair = letterOf(balancer, drawn) + letterOf(balancer, balancer.get())
      counts[pair] = (counts[pair] ?? 0) + 1
    }
  }

  assert.equal(Object.keys(counts).length, 12)
  assert.deepEqual(new Set(Object.values(counts)), new Set([12]))
})

test('p2c: idle targets share the traffic by weight', () => {
  const strata = Array.from({ length: 60 }, (_, index) => (index + 0.5) / 60)
  const counts: Record<string, number> = {}
  for (const first of strata) {
    const servers = ['h1:1', 'h2:1', 'h3:1 weight=3']
    const balancer = balancerOf({ strategy: 'p2c', servers, random: scripted([first, 0.5]) })
    const letter = letterOf(balancer, balancer.get())
    counts[letter] = (counts[letter] ?? 0) + 1
  }

  assert.deepEqual(counts, { a: 12, b: 12, c: 36 })
})

test('p2c: weights count when loads are compared', () => {
  const balancer = balancerOf({ strategy: 'p2c', servers: ['h1:1 weight=2', 'h2:1'], random: scripted([0.9, 0]) })
  const [heavy, light] = balancer.targets
  assert.ok(heavy && light)
  for (const target of [heavy, heavy, heavy, light, light]) balancer.acquire(target)

  assert.equal(balancer.get(), heavy)
})

test('p2c: of two targets the second drawn is the other one, whatever is drawn', () => {
  for (const draw of [0, 0.3, 0.5, 0.999]) {
    const balancer = balancerOf({ strategy: 'p2c', servers: ['h1:1', 'h2:1'], random: () => draw })
    const [first] = balancer.targets
    assert.ok(first)
    balancer.acquire(first)

    assert.equal(letterOf(balancer, balancer.get()), 'b')
  }
})

test('p2c: targets that cannot be used are not drawn, and one that is left needs no second', () => {
  const servers = ['h1:1 down', 'h2:1 weight=0', 'h3:1 max_conns=2', 'h4:1 down']

  for (const draw of [0, 0.3, 0.6, 0.999]) {
    const balancer = balancerOf({ strategy: 'p2c', servers, random: () => draw })

    assert.equal(hold(balancer, 3), 'c,c,502')
  }
})

test('p2c: an exchange draws among those it has not tried', () => {
  const random = seeded(1)
  for (let round = 0; round < 50; round++) {
    const balancer = balancerOf({ strategy: 'p2c', servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1'], random })
    const tried = exchange(balancer, () => true)

    assert.deepEqual([...new Set(tried)].sort(), ['502', 'a', 'b', 'c', 'd'])
  }
})
