import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Balancer, createBalancers, type Obstacle, type TargetOptions } from '../plugins/balancer/index.ts'
import { InvalidTargetError } from '../plugins/errors.ts'
import { balancerOf, FakeClock, hold, letterOf, seeded, sequence, settled } from './balancer-helper.ts'

const { names } = createBalancers().strategies
const KEYED = ['consistent-hash', 'bounded-consistent-hash', 'maglev', 'rendezvous', 'jump-hash', 'hash', 'ip-hash']
const WEIGHTED = ['smooth-weighted-round-robin', 'random', 'p2c', 'peak-ewma']
const OBSTACLES: Obstacle[] = ['down', 'unhealthy', 'ejected', 'open']
const KEYS = Array.from({ length: 400 }, (_, index) => `10.${index >> 4}.${index & 15}.7`)

for (const strategy of KEYED) {
  test(`${strategy}: after any changes, keys go where they go with a balancer that was made so`, async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const balancer = changed(strategy, seed, 14)
      await settled()

      assert.deepEqual(mapping(balancer), mapping(madeLike(balancer, strategy)), `seed ${seed}`)
    }
  })
}

for (const strategy of WEIGHTED) {
  test(`${strategy}: after any changes, targets get their shares by weight`, () => {
    for (let seed = 1; seed <= 6; seed++) {
      const balancer = changed(strategy, seed, 20)
      const usable = balancer.targets.filter((target) =>
        target.isAvailable({ key: undefined, tried: undefined }, Date.now)
      )
      const total = usable.reduce((sum, { weight }) => sum + weight, 0)

      const counts = new Map(usable.map((target) => [target, 0]))
      for (let pick = 0; pick < 20_000; pick++) {
        const target = balancer.get()
        assert.ok(target)
        counts.set(target, (counts.get(target) ?? 0) + 1)
      }

      assert.equal(counts.size, usable.length, 'no target that should not be picked')
      for (const [{ url, weight }, count] of counts) {
        assert.ok(
          Math.abs(count / 20_000 - weight / total) < 0.015,
          `${url} ${count} of ${weight}/${total}, seed ${seed}`
        )
      }
    }
  })
}

for (const strategy of ['least-connections', { name: 'least-connections', compat: 'nginx' }]) {
  test(`${JSON.stringify(strategy)}: after any changes, attempts in flight are spread by weight`, () => {
    for (let seed = 1; seed <= 6; seed++) {
      const balancer = changed(strategy, seed, 20)
      const usable = balancer.targets.filter((target) =>
        target.isAvailable({ key: undefined, tried: undefined }, Date.now)
      )
      const total = usable.reduce((sum, { weight }) => sum + weight, 0)

      hold(balancer, 30 * total)

      for (const { url, weight, inFlight } of usable) {
        assert.ok(Math.abs(inFlight - 30 * weight) <= weight, `${url}: ${inFlight} of weight ${weight}, seed ${seed}`)
      }
    }
  })
}

for (const strategy of names) {
  test(`${strategy}: a target of weight 0 is not picked, and is again with a weight`, async () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1'] })
    const picks = () => new Set(KEYS.map((key) => letterOf(balancer, balancer.get({ key, tried: undefined }))))

    assert.equal(balancer.setWeight('http://h1:1', 0), true)
    assert.deepEqual([...picks()], ['b'])

    balancer.setWeight('http://h1:1/', 3)
    await settled()
    assert.equal(picks().has('a'), true)
  })

  test(`${strategy}: a target that drains or is down gets no new client, and does when that is over`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1'] })
    const picks = () =>
      [...new Set(KEYS.map((key) => letterOf(balancer, balancer.get({ key, tried: undefined }))))].sort()
    const { url = '' } = balancer.targets[0] ?? {}

    assert.equal(balancer.drain(url), true)
    assert.deepEqual(picks(), ['b'])
    balancer.undrain(url)
    assert.deepEqual(picks(), ['a', 'b'])
    assert.equal(balancer.setDown(url, true), true)
    assert.deepEqual(picks(), ['b'])
    balancer.setDown(url, false)
    assert.deepEqual(picks(), ['a', 'b'])
  })
}

for (const strategy of ['consistent-hash', 'rendezvous']) {
  test(`${strategy}: with more weight a target only gains keys, with less it only loses some`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1 weight=2', 'h3:1', 'h4:1 weight=3'] })
    const before = mapping(balancer)

    balancer.setWeight('http://h2:1', 5)
    const more = mapping(balancer)
    balancer.setWeight('http://h2:1', 1)
    const less = mapping(balancer)
    balancer.setWeight('http://h2:1', 2)

    assert.notDeepEqual(more, before)
    for (const [index, url] of more.entries()) if (url !== before[index]) assert.equal(url, 'http://h2:1')
    assert.notDeepEqual(less, before)
    for (const [index, url] of less.entries()) if (url !== before[index]) assert.equal(before[index], 'http://h2:1')
    assert.deepEqual(mapping(balancer), before)
  })
}

test('maglev: a change of weight moves few keys beside those that it must', async () => {
  const balancer = balancerOf({ strategy: 'maglev', servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1', 'h5:1'] })
  const before = mapping(balancer)

  balancer.setWeight('http://h2:1', 2)
  await settled()
  const after = mapping(balancer)

  const others = after.filter((url, index) => url !== before[index] && url !== 'http://h2:1')
  assert.ok(others.length < KEYS.length * 0.03, `${others.length} keys`)
})

test('smooth weighted round robin goes on from what is owed when a weight changes', () => {
  const balancer = balancerOf({
    strategy: 'smooth-weighted-round-robin',
    servers: ['h1:1 weight=5', 'h2:1', 'h3:1']
  })
  // Played back from a record by now: after a a, owed are -4 2 2.
  assert.equal(sequence(balancer, 16), 'a,a,b,a,c,a,a,a,a,b,a,c,a,a,a,a')

  balancer.setWeight('http://h3:1', 2)

  // With 5 1 2: 1 3 4 -> c, then 6 4 -2 -> a, 3 5 0 -> b, 8 -2 2 -> a, 5 -1 4 -> a, 2 0 6 -> c.
  assert.equal(sequence(balancer, 6), 'c,a,b,a,a,c')
})

test('smooth weighted round robin does not let a large weight of the past hold a target up', () => {
  const balancer = balancerOf({
    strategy: 'smooth-weighted-round-robin',
    servers: ['h1:1 weight=100', 'h2:1 weight=99']
  })
  sequence(balancer, 101)

  balancer.setWeight('http://h1:1', 1)
  balancer.setWeight('http://h2:1', 1)

  const picks = sequence(balancer, 10).split(',')
  assert.ok(picks.filter((letter) => letter === 'a').length >= 4, picks.join(''))
})

test('failures count as much as before when a weight changes', () => {
  const balancer = balancerOf({
    strategy: 'smooth-weighted-round-robin',
    servers: ['h1:1 weight=4 max_fails=4', 'h2:1 weight=4']
  })
  const [first] = balancer.targets
  assert.ok(first)
  for (let count = 0; count < 2; count++) {
    balancer.acquire(first)
    balancer.release(first, 'failure')
  }

  balancer.setWeight(first.url, 40)

  // Half of its weight of 40 is in force, and one more with each pick: 20 4 -> a, 17 8 -> a, 14 12 -> a, 11 16 -> b.
  assert.equal(sequence(balancer, 5), 'a,a,a,b,a')
})

test('attempts in flight are kept through a change of weight', () => {
  const balancer = balancerOf({ strategy: 'least-connections', servers: ['h1:1', 'h2:1 weight=4'] })
  hold(balancer, 10)
  assert.deepEqual(
    balancer.targets.map(({ inFlight }) => inFlight),
    [2, 8]
  )

  balancer.setWeight('http://h1:1', 4)
  hold(balancer, 6)

  assert.deepEqual(
    balancer.targets.map(({ inFlight }) => inFlight),
    [8, 8]
  )
})

test('whoever names a target that is not there is told so, and a wrong weight is refused', () => {
  const balancer = balancerOf({ strategy: 'random', servers: ['h1:1'] })

  assert.equal(balancer.setWeight('http://h2:1', 2), false)
  assert.equal(balancer.drain('http://h2:1'), false)
  assert.equal(balancer.undrain('http://h2:1'), false)
  assert.equal(balancer.setDown('http://h2:1', true), false)
  assert.equal(balancer.find('http://h2:1'), undefined)
  assert.throws(() => balancer.setWeight('http://h1:1', 0.5), InvalidTargetError)
  assert.equal(balancer.targets[0]?.weight, 1)
})

test('observers hear of a weight that changes, and not of one that does not', () => {
  const balancer = balancerOf({ strategy: 'random', servers: ['h1:1'] })
  const seen: string[] = []
  balancer.observe({ onChange: ({ weight }, change) => seen.push(`${change} ${weight}`) })

  balancer.setWeight('http://h1:1', 7)
  balancer.setWeight('http://h1:1', 7)

  assert.deepEqual(seen, ['weight 7'])
})

/** A balancer after random changes while it was used, with two targets at least that may be picked. */
function changed(strategy: string | { name: string; compat: string }, seed: number, steps: number): Balancer {
  const random = seeded(seed * 7_919)
  const below = (bound: number) => Math.floor(random() * bound)
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1 weight=3', 'h3:1'], clock, random: seeded(seed) })
  let added = 3
  for (let step = 0; step < steps; step++) {
    const { url = '' } = balancer.targets[below(balancer.targets.length)] ?? {}
    const change = below(6)
    if (change === 0) balancer.add({ url: `http://h${++added}:1`, weight: below(6) })
    else if (change === 1 && balancer.targets.length > 2) balancer.remove(url)
    else if (change === 2) balancer.setWeight(url, below(7))
    else if (change === 3) balancer[random() < 0.5 ? 'drain' : 'undrain'](url)
    else if (change === 4) balancer.find(url)?.set(OBSTACLES[below(4)] ?? 'down', random() < 0.4)
    for (let pick = below(30); pick > 0; pick--) balancer.get({ key: KEYS[below(KEYS.length)], tried: undefined })
  }
  for (const weight of [2, 3]) balancer.add({ url: `http://h${++added}:1`, weight })
  return balancer
}

/** A new balancer with the same targets in the same states. */
function madeLike({ targets }: Balancer, strategy: string): Balancer {
  const options = targets.map(({ url, weight }): TargetOptions => ({ url, weight }))
  const made = createBalancers({ upstreams: { test: { strategy, targets: options } } }).get('test')
  for (const target of targets) {
    const twin = made.find(target.url)
    if (target.draining) made.drain(target.url)
    for (const obstacle of OBSTACLES) twin?.set(obstacle, target.has(obstacle))
  }
  return made
}

function mapping(balancer: Balancer): (string | undefined)[] {
  return KEYS.map((key) => balancer.get({ key, tried: undefined })?.url)
}
