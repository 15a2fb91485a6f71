import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MaglevTable, permutationOf } from '../plugins/balancer/hashing/maglev-table.ts'
import { Uint64 } from '../plugins/balancer/hashing/uint64.ts'
import { Xxh64 } from '../plugins/balancer/hashing/xxh64.ts'
import type { Balancer, Target } from '../plugins/balancer/index.ts'
import { balancerOf, letterOf } from './balancer-helper.ts'
import { fixture } from './helper.ts'

interface UnitTest {
  name: string
  size: number
  names: string[]
  weights: number[]
  table: number[]
}

const envoy = fixture<{
  hosts: string[]
  keys: string[]
  maglev65537: string
  unitTest: [UnitTest, ...UnitTest[]]
  attempts: { size: number; hash: number; picks: number[] }
}>('envoy-maglev.json')

for (const { name, size, names, weights, table } of envoy.unitTest) {
  test(`Envoy MaglevLoadBalancerTest.${name}: the same table`, () => {
    const entries = names.map((each, index) => ({ name: each, weight: weights[index] ?? 1 }))

    assert.deepEqual(tableOf(entries, size), table)
  })

  test(`Envoy MaglevLoadBalancerTest.${name}: the same table, in whatever order the hosts come`, () => {
    const entries = names.map((each, index) => ({ name: each, weight: weights[index] ?? 1 })).reverse()
    const last = names.length - 1

    assert.deepEqual(
      tableOf(entries, size).map((index) => last - index),
      table
    )
  })
}

test('Envoy: every key goes to the same of five hosts', () => {
  const balancer = balancerOf({ strategy: 'maglev', servers: envoy.hosts })

  const map = envoy.keys.map((key) => indexOf(balancer, balancer.get(context(key))))

  assert.equal(map.join(','), envoy.maglev65537)
})

test('Envoy MaglevLoadBalancerTest.BasicWithRetryHostPredicate: the same further hashes', () => {
  const { size, hash, picks } = envoy.attempts
  const [{ table }] = envoy.unitTest
  const places = [new Uint64().set(0, hash), new Uint64().set(~0, hash ^ -1), new Uint64().set(~0, hash ^ -2)]

  assert.deepEqual(
    places.map((place) => table[place.modulo(size)]),
    picks
  )
})

test('maglev: an exchange goes on to the hosts of the further hashes', () => {
  const balancer = balancerOf({ strategy: 'maglev', servers: envoy.hosts })
  const entries = envoy.hosts.map((name) => ({ name, weight: 1 }))
  const table = tableOf(entries, 65_537)

  for (const key of envoy.keys) {
    const hash = bigHash(key)
    const places = [0n, ~0n, ~1n, ~2n].map((mask) => Number((hash ^ BigInt.asUintN(64, mask)) % 65_537n))
    const distinct: number[] = [...new Set(places.map((place) => table[place] ?? -1))]
    const tried = distinct.slice(0, -1).flatMap((index) => balancer.targets[index] ?? [])

    const next = balancer.get({ key, tried })

    assert.equal(next, balancer.targets[distinct.at(-1) ?? -1], key)
  }
})

test('maglev: every target has the same number of places, and weights are kept', () => {
  const shares = (weights: number[]) => {
    const entries = weights.map((weight, index) => ({ name: `10.0.0.${index}:80`, weight }))
    const counts = weights.map(() => 0)
    for (const index of tableOf(entries, 65_537)) counts[index] = (counts[index] ?? 0) + 1
    return counts
  }
  const even = shares(Array(100).fill(1))

  assert.deepEqual(new Set(even), new Set([655, 656]))
  assert.deepEqual(
    shares([5, 3, 1, 0]).map((count) => Math.round((count / 65_537) * 9_000)),
    [5000, 3000, 1000, 0]
  )
})

test('maglev: the table is built once for a list, and not for a change of health', () => {
  const balancer = balancerOf({ strategy: 'maglev', servers: envoy.hosts })
  const keys = Array.from({ length: 2_000 }, (_, index) => `user-${index}`)
  const before = keys.map((key) => letterOf(balancer, balancer.get(context(key))))
  const [first] = balancer.targets
  assert.ok(first)

  first.down = true
  const begun = process.cpuUsage()
  for (let flip = 0; flip < 2_000; flip++) {
    first.down = !first.down
    balancer.get(context(keys[flip] ?? ''))
  }
  const { user, system } = process.cpuUsage(begun)
  first.down = false

  assert.deepEqual(
    keys.map((key) => letterOf(balancer, balancer.get(context(key)))),
    before
  )
  // Building the table 2,000 times would take seconds.
  assert.ok(user + system < 500_000, `${user + system} us`)
})

test('maglev: a change of the list is worked in between requests, and none waits for it', async () => {
  const balancer = balancerOf({ strategy: 'maglev', servers: envoy.hosts })
  const keys = Array.from({ length: 2_000 }, (_, index) => `user-${index}`)
  const mapping = () => keys.map((key) => balancer.get(context(key)))
  const before = mapping()
  const [first] = balancer.targets
  assert.ok(first)

  balancer.remove(first.url)
  const added = balancer.add('http://10.9.9.9:80')
  const meanwhile = mapping()
  let turns = 0
  for (; turns < 200 && !mapping().includes(added); turns++) await new Promise((resolve) => setImmediate(resolve))

  for (const [index, target] of meanwhile.entries()) {
    if (before[index] === first) assert.ok(target !== undefined && target !== first && target !== added)
    else assert.equal(target, before[index], 'only the keys of the one that left go elsewhere')
  }
  assert.ok(turns > 5 && turns < 200, `${turns} turns of the event loop`)
  const urls = balancer.targets.map(({ url }) => url.replace('http://', ''))
  assert.deepEqual(
    mapping(),
    [...balancerOfMapping(urls, keys)].map((index) => balancer.targets[index])
  )
})

test('maglev: unix sockets, names and IPv6 addresses are hashed as Envoy writes them', () => {
  const servers = ['unix:/run/a.sock', 'Backend', '[::1]:8080']
  const names = ['/run/a.sock', 'backend:80', '[::1]:8080']
  const balancer = balancerOf({ strategy: 'maglev', servers })
  const table = tableOf(
    names.map((name) => ({ name, weight: 1 })),
    65_537
  )

  for (const key of envoy.keys) {
    const index = table[Number(bigHash(key) % 65_537n)] ?? -1
    assert.equal(balancer.get(context(key)), balancer.targets[index])
  }
})

const vectors = [
  { text: '', seed: 0, expected: 0xef46db3751d8e999n },
  { text: 'a', seed: 0, expected: 0xd24ec4f1a98c6e5bn },
  { text: 'abc', seed: 0, expected: 0x44bc2cf5ad770999n },
  { text: 'Call me Ishmael. Some years ago--never mind how long precisely-', seed: 0, expected: 0x02a2e85470d6fd96n }
]
for (const { text, seed, expected } of vectors) {
  test(`XXH64 of '${text}' is what others compute`, () => {
    assert.equal(bigHash(text, seed), expected)
  })
}

test('XXH64 is the same as one in big integers, for every length up to four stripes, with and without a seed', () => {
  const bytes = Array.from({ length: 130 }, (_, index) => String.fromCharCode((index * 151 + 7) & 0xff)).join('')
  for (let length = 0; length <= bytes.length; length++) {
    for (const seed of [0, 1, 0x7fffffff]) {
      const text = bytes.slice(0, length)
      assert.equal(bigHash(text, seed), referenceXxh64(text, BigInt(seed)))
    }
  }
})

test('keys of any length have a hash', () => {
  const long = 'x'.repeat(10_000)

  assert.equal(bigHash(long), referenceXxh64(long, 0n))
  assert.notEqual(bigHash('\u0141'), bigHash('\u0241'))
})

test('a 64-bit remainder is that of big integers', () => {
  const hash = new Xxh64()
  for (const key of envoy.keys) {
    for (const divisor of [7, 65_537, 655_373, 2 ** 26]) {
      const result = hash.hash(key)
      assert.equal(result.modulo(divisor), Number(toBig(result) % BigInt(divisor)))
    }
  }
})

/** Where the keys go with a balancer that is made with a list, as indices. */
function balancerOfMapping(servers: string[], keys: readonly string[]): number[] {
  const balancer = balancerOf({ strategy: 'maglev', servers })
  return keys.map((key) => indexOf(balancer, balancer.get(context(key))))
}

/** For each place the index of its entry. */
function tableOf(entries: readonly { name: string; weight: number }[], size: number): number[] {
  const table = new MaglevTable(
    entries.map(({ name, weight }) => ({ permutation: permutationOf(name, size), weight })),
    size
  )
  table.build()
  return Array.from({ length: size }, (_, place) => table.at(place))
}

function indexOf(balancer: Balancer, target: Target | undefined): number {
  return target === undefined ? -1 : balancer.targets.indexOf(target)
}

function context(key: string) {
  return { key, tried: undefined }
}

function bigHash(text: string, seed = 0): bigint {
  return toBig(new Xxh64().hash(text, seed))
}

function toBig({ high, low }: Uint64): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** The specification, step by step. */
function referenceXxh64(text: string, seed: bigint): bigint {
  const [p1, p2, p3, p4, p5] = [
    0x9e3779b185ebca87n,
    0xc2b2ae3d27d4eb4fn,
    0x165667b19e3779f9n,
    0x85ebca77c2b2ae63n,
    0x27d4eb2f165667c5n
  ]
  const wrap = (value: bigint) => BigInt.asUintN(64, value)
  const rotate = (value: bigint, bits: bigint) => wrap((value << bits) | (value >> (64n - bits)))
  const round = (state: bigint, lane: bigint) => wrap(rotate(wrap(state + lane * p2), 31n) * p1)
  const input = Buffer.from(text, 'latin1')
  let at = 0
  let hash = wrap(seed + p5)
  if (input.length >= 32) {
    const lanes = [wrap(seed + p1 + p2), wrap(seed + p2), seed, wrap(seed - p1)]
    for (; at + 32 <= input.length; at += 32) {
      for (const [lane, state] of lanes.entries()) lanes[lane] = round(state, input.readBigUInt64LE(at + lane * 8))
    }
    hash = wrap(lanes.reduce((sum, lane, index) => sum + rotate(lane, [1n, 7n, 12n, 18n][index] ?? 0n), 0n))
    for (const lane of lanes) hash = wrap((hash ^ round(0n, lane)) * p1 + p4)
  }
  hash = wrap(hash + BigInt(input.length))
  for (; at + 8 <= input.length; at += 8) {
    hash = wrap(rotate(hash ^ round(0n, input.readBigUInt64LE(at)), 27n) * p1 + p4)
  }
  if (at + 4 <= input.length) {
    hash = wrap(rotate(hash ^ wrap(BigInt(input.readUInt32LE(at)) * p1), 23n) * p2 + p3)
    at += 4
  }
  for (; at < input.length; at++) hash = wrap(rotate(hash ^ wrap(BigInt(input[at] ?? 0) * p5), 11n) * p1)
  hash = wrap((hash ^ (hash >> 33n)) * p2)
  hash = wrap((hash ^ (hash >> 29n)) * p3)
  return hash ^ (hash >> 32n)
}
