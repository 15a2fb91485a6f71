import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Xxh64 } from '../plugins/balancer/hashing/xxh64.ts'
import { balancerOf } from './balancer-helper.ts'

const KEYS = Array.from({ length: 2_000 }, (_, index) => `user-${index}`)

test('rendezvous: the highest of the documented scores wins', () => {
  const servers = ['10.0.0.1:80 weight=5', '10.0.0.2:80 weight=3', 'backend:8080', '[::1]:80 weight=2']
  const hosts = ['10.0.0.1:80', '10.0.0.2:80', 'backend:8080', '[::1]:80']
  const balancer = balancerOf({ strategy: 'rendezvous', servers })

  for (const key of KEYS) {
    const scores = balancer.targets.map(({ weight }, index) => weight / -Math.log(uniform(key, hosts[index] ?? '')))
    const expected = balancer.targets[scores.indexOf(Math.max(...scores))]

    assert.equal(balancer.get({ key, tried: undefined }), expected, key)
  }
})

test('rendezvous: equal weights choose the same targets, whatever the weight is', () => {
  const urlsFor = (weight: number) => {
    const servers = ['h1:1', 'h2:1', 'h3:1'].map((server) => `${server} weight=${weight}`)
    const balancer = balancerOf({ strategy: 'rendezvous', servers })
    return KEYS.map((key) => balancer.get({ key, tried: undefined })?.url)
  }

  assert.deepEqual(urlsFor(7), urlsFor(1))
})

test('rendezvous: the order of the list does not matter', () => {
  const servers = ['h1:1 weight=2', 'h2:1', 'h3:1 weight=4']
  const [there, back] = [servers, [...servers].reverse()].map((list) => {
    const balancer = balancerOf({ strategy: 'rendezvous', servers: list })
    return KEYS.map((key) => balancer.get({ key, tried: undefined })?.url)
  })

  assert.deepEqual(there, back)
})

/** The hash of key and target as a number between 0 and 1, as JSDoc and page describe it. */
function uniform(key: string, host: string): number {
  const { high: keyHigh, low: keyLow } = new Xxh64().hash(key)
  const { high: hostHigh, low: hostLow } = new Xxh64().hash(host)
  const low = finalize(keyLow ^ hostLow)
  const high = finalize((keyHigh ^ hostHigh) + low)
  return (high + (low + 0.5) / 2 ** 32) / 2 ** 32
}

/** MurmurHash3's finalizer, in big integers. */
function finalize(word: number): number {
  const wrap = (value: bigint) => BigInt.asUintN(32, value)
  let mixed = wrap(BigInt(word))
  mixed = wrap((mixed ^ (mixed >> 16n)) * 0x85ebca6bn)
  mixed = wrap((mixed ^ (mixed >> 13n)) * 0xc2b2ae35n)
  return Number(mixed ^ (mixed >> 16n))
}
