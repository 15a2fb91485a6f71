import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Balancer, createBalancers, type Obstacle, type Target } from '../plugins/balancer/index.ts'
import { InvalidTargetError } from '../plugins/errors.ts'
import {
  balancerOf,
  exchange,
  FakeClock,
  letterOf,
  readServer,
  seeded,
  type UpstreamSketch
} from './balancer-helper.ts'

const { names } = createBalancers().strategies

/** Percent of the traffic for each priority, from the table in Envoy's documentation of priority levels. */
const ENVOY_TWO_LEVELS = [
  { healthy: [100, 100], loads: [100, 0] },
  { healthy: [72, 72], loads: [100, 0] },
  { healthy: [71, 71], loads: [99, 1] },
  { healthy: [50, 50], loads: [70, 30] },
  { healthy: [25, 100], loads: [35, 65] },
  { healthy: [25, 25], loads: [50, 50] },
  { healthy: [0, 100], loads: [0, 100] }
]

for (const { healthy, loads } of ENVOY_TWO_LEVELS) {
  test(`priorities with ${healthy.join(' % and ')} % healthy targets get ${loads.join(' % and ')} % of the traffic`, () => {
    assert.deepEqual(
      leveled(healthy.map((share) => [100, share])).levels.map(({ load }) => load),
      [...loads, 0]
    )
  })
}

test('where all together cannot take everything, each gets its part, and rounding goes to the first of them', () => {
  const { levels } = leveled(
    [
      [10, 0],
      [14, 3],
      [14, 4]
    ],
    { more: { panicThreshold: 0 } }
  )

  // 30 of 70 are 42.86 %, 40 of 70 are 57.14 %.
  assert.deepEqual(
    levels.map(({ load, health }) => [load, health]),
    [
      [0, 0],
      [43, 30],
      [57, 40],
      [0, 0]
    ]
  )
})

test('where all priorities panic, the traffic is shared by the number of targets', () => {
  const { levels } = leveled([
    [4, 1],
    [2, 0]
  ])

  assert.deepEqual(
    levels.map(({ load, panic }) => [load, panic]),
    [
      [67, true],
      [33, true],
      [0, false]
    ]
  )
})

for (const strategy of names) {
  test(`${strategy}: a priority is used as far as the ones before cannot take the traffic`, () => {
    const balancer = leveled(
      [
        [10, 10],
        [10, 10]
      ],
      { strategy }
    )
    const share = () => {
      const picks = Array.from({ length: 2_000 }, (_, index) => pick(balancer, index))
      return picks.filter((target) => target?.priority === 1).length / picks.length
    }

    assert.equal(share(), 0)
    for (let index = 0; index < 5; index++) balancer.targets[index]?.set('ejected', true)
    assert.ok(Math.abs(share() - 0.3) < 0.04, `${share()} with half of them ejected`)
    for (let index = 5; index < 10; index++) balancer.targets[index]?.set('open', true)
    assert.equal(share(), 1)
  })
}

test('equal keys stay with their priority', () => {
  const balancer = leveled(
    [
      [10, 5],
      [10, 10]
    ],
    { strategy: 'rendezvous' }
  )

  const first = Array.from({ length: 200 }, (_, index) => pick(balancer, index))
  const second = Array.from({ length: 200 }, (_, index) => pick(balancer, index))

  assert.deepEqual(second, first)
})

test('a client that a lower priority has served stays there while the first priority recovers', () => {
  const balancer = leveled(
    [
      [10, 5],
      [10, 10]
    ],
    { strategy: 'sticky' }
  )
  const served = Array.from({ length: 200 }, (_, index) => pick(balancer, index)).find(
    (target) => target?.priority === 1
  )
  assert.ok(served)
  const token = balancer.renewToken(served, undefined)

  balancer.targets[0]?.set('unhealthy', false)

  for (let count = 0; count < 50; count++)
    assert.equal(balancer.get({ key: undefined, token, tried: undefined }), served)
})

test('a full or tried priority is no reason to fail: the next one takes the exchange, then the backups', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h9:1 backup'] })
  balancer.add({ url: 'http://h2:1', priority: 1 })
  balancer.add({ url: 'http://h3:1', priority: 3 })

  assert.deepEqual(
    exchange(balancer, () => true),
    ['a', 'c', 'd', 'b', '502']
  )
})

test('failures move traffic to the next priority, and it comes back when the time to try again has come', () => {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'], clock, random: seeded(1) })
  balancer.add({ url: 'http://h3:1', priority: 1 })
  for (const target of balancer.targets.slice(0, 2)) {
    balancer.acquire(target)
    balancer.release(target, 'failure')
  }
  const loads = () => balancer.levels.slice(0, 2).map(({ load }) => load)

  assert.deepEqual(loads(), [0, 100])
  assert.equal(letterOf(balancer, balancer.get()), 'c')
  clock.time += 10_001

  // The first one is probed, which leaves half of the priority, and so 70 % of the traffic, for the second.
  assert.equal(letterOf(balancer, balancer.get()), 'a')
  assert.deepEqual(loads(), [70, 30])
})

test('a panic begins below half of the targets, lets in those that were judged to be bad, and ends', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1'] })
  const seen: string[] = []
  balancer.observe({
    onChange: ({ hostname }, change) => seen.push(`${hostname} ${change}`),
    onPanic: ({ panic, fit, inService }) => seen.push(`panic ${panic} ${fit}/${inService}`)
  })
  const [a, b, c] = balancer.targets
  const picked = () =>
    [...new Set(Array.from({ length: 12 }, () => letterOf(balancer, balancer.get())))].sort().join('')

  a?.set('unhealthy', true)
  b?.set('ejected', true)
  assert.equal(picked(), 'cd')
  c?.set('open', true)
  assert.equal(picked(), 'abd', 'what is open is so to protect the target')
  c?.set('open', false)
  assert.equal(picked(), 'cd')

  assert.deepEqual(seen, ['h1 unhealthy', 'h2 ejected', 'h3 open', 'panic true 1/4', 'h3 open', 'panic false 2/4'])
})

for (const strategy of names) {
  test(`${strategy}: in a panic all are picked but those that are down, draining or open`, () => {
    const servers = ['h1:1', 'h2:1', 'h3:1 down', 'h4:1', 'h5:1']
    const balancer = balancerOf({ strategy, servers, random: seeded(3) })
    const [a, b, c, d, e] = balancer.targets
    assert.ok(a && b && c && d && e)
    const obstacles: [Target, Obstacle][] = [
      [a, 'unhealthy'],
      [b, 'ejected'],
      [c, 'unhealthy'],
      [d, 'open']
    ]
    for (const [target, obstacle] of obstacles) target.set(obstacle, true)
    e.draining = true

    const picked = new Set(Array.from({ length: 300 }, (_, index) => letterOf(balancer, pick(balancer, index))))

    assert.deepEqual([...picked].sort(), ['a', 'b'])
  })
}

test('a threshold of 0 rules panics out', () => {
  const balancer = balancerOf({ strategy: 'random', servers: ['h1:1', 'h2:1'], more: { panicThreshold: 0 } })
  for (const target of balancer.targets) target.set('unhealthy', true)

  assert.equal(balancer.get(), undefined)
})

test('maintenance is no reason to panic', () => {
  const balancer = balancerOf({
    strategy: 'random',
    servers: ['h1:1 down', 'h2:1 down', 'h3:1 weight=0', 'h4:1', 'h5:1']
  })
  const [, , , d, e] = balancer.targets
  assert.ok(d && e)

  d.set('unhealthy', true)

  assert.equal(balancer.levels[0]?.panic, false)
  assert.equal(balancer.get(), e)
})

test('nobody panics while a healthy priority, or a healthy backup, stands by', () => {
  const balancer = balancerOf({ strategy: 'random', servers: ['h1:1', 'h2:1', 'h3:1 backup'] })
  const [a, b, backup] = balancer.targets
  for (const target of [a, b]) target?.set('unhealthy', true)

  assert.equal(balancer.get(), backup)
  backup?.set('unhealthy', true)
  assert.equal(balancer.get()?.backup, false)
})

test('a priority that cannot be is refused', () => {
  const balancer = balancerOf({ strategy: 'random', servers: [] })

  assert.throws(() => balancer.add({ url: 'http://h1', priority: -1 }), InvalidTargetError)
  assert.throws(() => balancer.add({ url: 'http://h1', priority: 65_536 }), InvalidTargetError)
  assert.throws(() => balancer.add({ url: 'http://h1', priority: 1, backup: true }), InvalidTargetError)
})

/** A balancer with so many targets for each priority, of which so many are healthy. */
function leveled(
  sizes: readonly [size: number, healthy: number][],
  { strategy = 'random', more = {} }: Partial<Pick<UpstreamSketch, 'more'>> & { strategy?: string } = {}
): Balancer {
  const balancer = balancerOf({ strategy, servers: [], random: seeded(7), more })
  for (const [priority, [size, healthy]] of sizes.entries()) {
    for (let index = 0; index < size; index++) {
      const target = balancer.add({ ...readServer(`h${priority}-${index}:1`), priority })
      if (index >= healthy) target.set('unhealthy', true)
    }
  }
  return balancer
}

function pick(balancer: Balancer, index: number): Target | undefined {
  const key = balancer.needs.key === undefined ? undefined : `10.${index >> 8}.${index & 255}.1`
  return balancer.get({ key, tried: undefined })
}
