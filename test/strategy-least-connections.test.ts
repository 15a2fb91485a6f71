import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Target } from '../plugins/balancer/index.ts'
import { balancerOf, FakeClock, letterOf, scripted, seeded } from './balancer-helper.ts'

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
  { name: 'a tie, decided for the first', weights: [1, 1, 1], loads: [1, 1, 3], draws: [0.49], expected: 'a' },
  { name: 'a tie, decided for the second', weights: [1, 1, 1], loads: [1, 1, 3], draws: [0.5], expected: 'b' },
  { name: 'a tie of three, decided for the third', weights: [1, 1, 1], loads: [0, 0, 0], draws: [0.67], expected: 'c' },
  {
    name: 'a tie of three, decided for the second',
    weights: [1, 1, 1],
    loads: [0, 0, 0],
    draws: [0.66],
    expected: 'b'
  },
  { name: 'a tie that a better target ends', weights: [1, 1, 1], loads: [1, 1, 0], draws: [], expected: 'c' },
  {
    name: 'a tie of two after a tie of two',
    weights: [1, 1, 1, 1],
    loads: [2, 2, 1, 1],
    draws: [0.5],
    expected: 'd'
  },
  {
    name: 'a tie of different weights, decided for the light one',
    weights: [2, 1, 4, 1],
    loads: [3, 1, 9, 3],
    draws: [0.5],
    expected: 'b'
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

const further = [
  { name: 'the fewest in flight', loads: [0, 2, 1, 3], draws: [], expected: 'c' },
  { name: 'a tie, decided for the first', loads: [0, 1, 1, 3], draws: [0.5], expected: 'b' },
  { name: 'a tie, decided for the second', loads: [0, 1, 1, 3], draws: [0.49], expected: 'c' },
  { name: 'a tie of three, decided for the third', loads: [0, 1, 1, 1], draws: [0.9, 0.33], expected: 'd' },
  { name: 'a tie of three, decided for the second', loads: [0, 1, 1, 1], draws: [0.1, 0.34], expected: 'c' },
  { name: 'a tie that a better target ends', loads: [0, 2, 2, 1], draws: [0.1], expected: 'd' }
]
for (const { name, loads, draws, expected } of further) {
  test(`least connections, with the least loaded tried already: ${name}`, () => {
    const servers = loads.map((_, index) => `h${index}:1`)
    const balancer = balancerOf({ strategy: 'least-connections', servers, random: scripted(draws) })
    balancer.targets.forEach((target, index) => {
      for (let count = 0; count < (loads[index] ?? 0); count++) balancer.acquire(target)
    })

    assert.equal(letterOf(balancer, balancer.get({ key: undefined, tried: balancer.targets.slice(0, 1) })), expected)
  })
}

for (let seed = 1; seed <= 20; seed++) {
  test(`least connections: no available target has less load, whatever happens (seed ${seed})`, () => {
    const random = seeded(seed)
    const draw = (limit: number) => Math.floor(random() * limit)
    const clock = new FakeClock()
    const servers = Array.from({ length: 2 + draw(8) }, (_, index) => {
      return `h${index}:1 weight=${draw(4)} max_fails=${draw(3)} max_conns=${draw(2) * 9} fail_timeout=${1 + draw(3)}s`
    })
    const balancer = balancerOf({ strategy: 'least-connections', servers, clock, random })
    const held: Target[] = []

    for (let step = 0; step < 500; step++) {
      const tried = random() < 0.1 ? balancer.targets.slice(0, 1 + draw(2)) : undefined
      const context = { key: undefined, tried }
      const loads = balancer.targets.filter((target) => target.isAvailable(context, clock.now)).map(loadOf)
      const picked = balancer.get(context)
      assert.equal(picked === undefined ? Number.POSITIVE_INFINITY : loadOf(picked), Math.min(...loads), `step ${step}`)
      if (picked !== undefined) {
        balancer.acquire(picked)
        held.push(picked)
      }
      while (held.length > 30 || (held.length > 0 && random() < 0.45)) {
        const [done] = held.splice(draw(held.length), 1)
        if (done !== undefined) balancer.release(done, random() < 0.05 ? 'failure' : 'success')
      }
      if (random() < 0.02) clock.time += draw(4_000)
      const any = balancer.targets[draw(balancer.targets.length)]
      if (random() < 0.02 && any !== undefined) any.down = !any.down
      if (random() < 0.01) balancer.add({ url: `http://new${step}:1`, weight: 1 + draw(4) })
      if (random() < 0.01 && any !== undefined && balancer.targets.length > 2) balancer.remove(any.url)
    }
  })
}

function loadOf({ inFlight, weight }: Target): number {
  return (inFlight + 1) / weight
}
