import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Balancer, createBalancers, type PickContext, type Target } from '../plugins/balancer/index.ts'
import { balancerOf, exchange, settled } from './balancer-helper.ts'

const KEYS = Array.from({ length: 20_000 }, (_, index) => `user-${index}`)
const CONSISTENT = ['consistent-hash', 'bounded-consistent-hash', 'maglev', 'rendezvous', 'jump-hash']
/** How far the largest share may be above the mean, for 10 targets and 20,000 keys: 3 % of it is the luck of the keys. */
const EVENNESS: Record<string, number> = {
  'consistent-hash': 1.25,
  'bounded-consistent-hash': 1.25,
  maglev: 1.06,
  rendezvous: 1.06,
  'jump-hash': 1.06
}

for (const strategy of CONSISTENT) {
  test(`${strategy}: needs a key, and says so`, () => {
    assert.equal(keyed(strategy, 3).needs.key, true)
  })

  test(`${strategy}: shares are even, and in proportion to the weights`, () => {
    const even = sharesOf(mapOf(keyed(strategy, 10)))
    const weighted = sharesOf(mapOf(balancerOf({ strategy, servers: ['h1:1 weight=5', 'h2:1 weight=3', 'h3:1'] })))

    assert.ok(Math.max(...even.values()) * 10 <= (EVENNESS[strategy] ?? 0), `${Math.max(...even.values()) * 10}`)
    for (const [url, weight] of [
      ['http://h1:1', 5],
      ['http://h2:1', 3],
      ['http://h3:1', 1]
    ] as const) {
      const ratio = ((weighted.get(url) ?? 0) / weight) * 9
      assert.ok(ratio > 0.8 && ratio < 1.25, `${url} has ${ratio} of its share`)
    }
  })

  for (const size of [5, 10, 50]) {
    test(`${strategy}: a target that is down moves its own keys only, and has them back when it is up (${size} targets)`, () => {
      const balancer = keyed(strategy, size)
      const before = mapOf(balancer)
      const victim = balancer.targets[size >> 1]
      assert.ok(victim)

      victim.down = true
      const during = mapOf(balancer)
      victim.down = false
      const after = mapOf(balancer)

      const moved = during.filter((target, index) => target !== before[index])
      assert.equal(moved.length, before.filter((target) => target === victim).length)
      assert.equal(during.includes(victim), false)
      assert.deepEqual(after, before)
    })

    test(`${strategy}: the keys of a target that is down spread over all others (${size} targets)`, () => {
      const balancer = keyed(strategy, size)
      const before = mapOf(balancer)
      const victim = balancer.targets[0]
      assert.ok(victim)

      victim.down = true
      const moved = mapOf(balancer).filter((_, index) => before[index] === victim)
      const heirs = sharesOf(moved)

      // On a ring, the points of some neighbours are more often next than those of others. The rest is luck: 4.5 sigma.
      const unevenness = strategy.endsWith('consistent-hash') ? 2 : 1
      const worst = unevenness * (1 + 4.5 * Math.sqrt((size - 1) / moved.length))
      assert.ok(heirs.size > (size - 1) * 0.9, `${heirs.size}`)
      assert.ok(Math.max(...heirs.values()) * (size - 1) < worst, `${Math.max(...heirs.values()) * (size - 1)}`)
    })
  }

  test(`${strategy}: no key is lost however many targets are down`, () => {
    const balancer = keyed(strategy, 40)
    for (const [index, target] of balancer.targets.entries()) {
      if (index === 23) continue
      target.down = true
      if (index % 8 !== 0) continue
      const lost = KEYS.slice(0, 500).filter((key) => balancer.get(withKey(key))?.down !== false)
      assert.deepEqual(lost, [])
    }

    assert.equal(balancer.get(withKey('any'))?.url, 'http://10.0.0.23:80')
  })

  test(`${strategy}: two gateways with the same list agree on every key`, () => {
    const urls = () => mapOf(keyed(strategy, 7)).map((target) => target?.url)

    assert.deepEqual(urls(), urls())
  })

  test(`${strategy}: an exchange whose attempts fail tries each target once, always in the same order`, () => {
    for (const key of KEYS.slice(0, 50)) {
      const first = exchange(keyed(strategy, 6, 'max_fails=0'), () => true, key)
      const second = exchange(keyed(strategy, 6, 'max_fails=0'), () => true, key)

      assert.deepEqual([...first].sort(), ['502', 'a', 'b', 'c', 'd', 'e', 'f'])
      assert.deepEqual(second, first)
    }
  })
}

/** Share of the keys that move when one of n targets leaves: 1 / n is what must. */
const removals = [
  { strategy: 'consistent-hash', unneeded: 0 },
  { strategy: 'bounded-consistent-hash', unneeded: 0 },
  { strategy: 'rendezvous', unneeded: 0 },
  { strategy: 'maglev', unneeded: 0.01 }
]
for (const { strategy, unneeded } of removals) {
  for (const size of [5, 10, 50]) {
    test(`${strategy}: removing one of ${size} targets moves its keys, and of the others at most ${unneeded * 100} %`, async () => {
      const balancer = keyed(strategy, size)
      const before = mapOf(balancer)
      const victim = balancer.targets[1]
      assert.ok(victim)

      balancer.remove(victim.url)
      await settled()
      const after = mapOf(balancer)

      const strays = after.filter((target, index) => target !== before[index] && before[index] !== victim)
      assert.equal(after.includes(undefined), false)
      assert.ok(strays.length <= KEYS.length * unneeded, `${strays.length} of ${KEYS.length}`)
    })

    test(`${strategy}: adding one to ${size} targets moves keys to it, and elsewhere at most ${unneeded * 100} %`, async () => {
      const balancer = keyed(strategy, size)
      const before = mapOf(balancer)

      const added = balancer.add('http://10.0.0.200:80')
      await settled()
      const after = mapOf(balancer)

      const strays = after.filter((target, index) => target !== before[index] && target !== added)
      const taken = after.filter((target) => target === added).length / KEYS.length
      assert.ok(strays.length <= KEYS.length * unneeded, `${strays.length} of ${KEYS.length}`)
      assert.ok(taken > 0.75 / (size + 1) && taken < 1.25 / (size + 1), `${taken}`)
    })
  }
}

test('jump-hash: adding a target at the end moves keys to it only, removing it moves them back', () => {
  const balancer = keyed('jump-hash', 9)
  const before = mapOf(balancer)

  const added = balancer.add('http://10.0.0.200:80')
  const during = mapOf(balancer)
  balancer.remove(added.url)

  assert.deepEqual(
    during.filter((target, index) => target !== before[index] && target !== added),
    []
  )
  assert.deepEqual(mapOf(balancer), before)
})

for (const strategy of ['rendezvous', 'consistent-hash']) {
  test(`${strategy}: a heavier target takes keys from the others, and they take none from one another`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1', 'h3:1'] })
    const before = mapOf(balancer).map((target) => target?.url)

    balancer.remove('http://h2:1')
    balancer.add({ url: 'http://h2:1', weight: 3 })
    const after = mapOf(balancer).map((target) => target?.url)

    const moved = after.filter((url, index) => url !== before[index])
    assert.ok(moved.length > 0)
    assert.deepEqual(new Set(moved), new Set(['http://h2:1']))
  })
}

test('bounded-consistent-hash: without load it is consistent-hash', () => {
  const plain = mapOf(keyed('consistent-hash', 8)).map((target) => target?.url)
  const bounded = mapOf(keyed('bounded-consistent-hash', 8)).map((target) => target?.url)

  assert.deepEqual(bounded, plain)
})

for (const { factor, weights, expected } of [
  // 12 attempts of one key: in the end, the bound is ceil(factor x 12 / 4).
  { factor: 1.25, weights: [1, 1, 1, 1], expected: [4, 4, 4, 0] },
  { factor: 2, weights: [1, 1, 1, 1], expected: [6, 6, 0, 0] },
  { factor: 1, weights: [1, 1, 1, 1], expected: [3, 3, 3, 3] },
  { factor: 100, weights: [1, 1, 1, 1], expected: [12, 0, 0, 0] }
]) {
  test(`bounded-consistent-hash: with a factor of ${factor} a single key loads targets as ${expected.join(', ')}`, () => {
    const strategy = { name: 'bounded-consistent-hash', factor }
    const servers = weights.map((weight, index) => `10.0.0.${index}:80 weight=${weight}`)
    const balancer = balancerOf({ strategy, servers })

    for (let count = 0; count < 12; count++) acquire(balancer, 'hot')

    assert.deepEqual(
      balancer.targets.map(({ inFlight }) => inFlight).sort((a, b) => b - a),
      expected
    )
  })
}

test('bounded-consistent-hash: no target is ever above its bound, for its weight, as attempts come and go', () => {
  const servers = ['10.0.0.1:80 weight=3', '10.0.0.2:80 weight=2', '10.0.0.3:80', '10.0.0.4:80 weight=4']
  const balancer = balancerOf({ strategy: 'bounded-consistent-hash', servers })
  const held: Target[] = []

  for (let step = 0; step < 3_000; step++) {
    // Few keys, so that without a bound the load would be far from even.
    held.push(acquire(balancer, `user-${(step * step) % 7}`))
    if (step >= 60) {
      const [done] = held.splice((step * 31) % held.length, 1)
      assert.ok(done)
      balancer.release(done, 'success')
    }
    const last = held.at(-1)
    if (last === undefined) continue
    assert.ok(last.inFlight <= Math.ceil((1.25 * (held.length + 1) * last.weight) / 10) + 1)
  }
})

test('bounded-consistent-hash: the share of targets that are down or have failed goes to the others', () => {
  const balancer = keyed('bounded-consistent-hash', 4)
  const [first, second, ...rest] = balancer.targets
  assert.ok(first && second)
  first.down = true
  balancer.acquire(second)
  balancer.release(second, 'failure')

  for (let count = 0; count < 16; count++) acquire(balancer, 'hot')

  // ceil(1.25 x 16 / 2), where four would have bounds of five each.
  assert.deepEqual(rest.map(({ inFlight }) => inFlight).sort(), [10, 6])
})

test('bounded-consistent-hash: an exchange that has tried all with room goes to one above its bound', () => {
  const balancer = keyed('bounded-consistent-hash', 2)
  const hot = acquire(balancer, 'hot')
  const other = balancer.targets.find((target) => target !== hot)
  assert.ok(other)
  for (let count = 0; count < 5; count++) balancer.acquire(hot)

  assert.equal(balancer.get({ key: 'hot', tried: [other] }), hot)
})

for (const [factor, found] of [
  [0.9, '0.9'],
  ['1.5', '"1.5"'],
  [Number.POSITIVE_INFINITY, 'null']
] as const) {
  test(`bounded-consistent-hash: a factor of ${JSON.stringify(factor)} is refused`, () => {
    const strategy = { name: 'bounded-consistent-hash', factor }

    assert.throws(() => createBalancers().add('a', { strategy }), {
      message: `Balancing strategy 'bounded-consistent-hash' is invalid: factor must be a number of at least 1, found ${found}`
    })
  })
}

function keyed(strategy: string, size: number, parameters = ''): Balancer {
  const servers = Array.from({ length: size }, (_, index) => `10.0.0.${index}:80 ${parameters}`.trim())
  return balancerOf({ strategy, servers })
}

function withKey(key: string): PickContext {
  return { key, tried: undefined }
}

function mapOf(balancer: Balancer): (Target | undefined)[] {
  return KEYS.map((key) => balancer.get(withKey(key)))
}

/** Share of each target, by its URL. */
function sharesOf(targets: readonly (Target | undefined)[]): Map<string, number> {
  const shares = new Map<string, number>()
  for (const target of targets) {
    const url = target?.url ?? 'none'
    shares.set(url, (shares.get(url) ?? 0) + 1 / targets.length)
  }
  return shares
}

function acquire(balancer: Balancer, key: string): Target {
  const target = balancer.get(withKey(key))
  assert.ok(target)
  balancer.acquire(target)
  return target
}
