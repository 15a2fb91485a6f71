import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jumpBucket } from '../plugins/balancer/hashing/jump-bucket.ts'
import { Uint64 } from '../plugins/balancer/hashing/uint64.ts'
import { Xxh64 } from '../plugins/balancer/hashing/xxh64.ts'
import { balancerOf } from './balancer-helper.ts'
import { fixture } from './helper.ts'

const { vectors } = fixture<{ vectors: Record<string, number[]> }>('jump-hash.json')

for (const [key, expected] of Object.entries(vectors)) {
  test(`jump hash: key ${key} has the buckets of the reference`, () => {
    const buckets = expected.map((_, index) => jumpBucket(uint64(BigInt(key)), index + 1))

    assert.deepEqual(buckets, expected)
  })
}

test('jump hash: a thousand buckets are as the paper’s program has them', () => {
  for (let key = 0n; key < 300n; key++) {
    const scattered = BigInt.asUintN(64, key * 0x9e3779b97f4a7c15n)
    for (const buckets of [1, 2, 10, 1_000]) {
      assert.equal(jumpBucket(uint64(scattered), buckets), referenceJump(scattered, buckets))
    }
  }
})

test('jump hash: a target has a bucket for each unit of its weight, in the order of the list', () => {
  const servers = ['h1:1 weight=2', 'h2:1 weight=0', 'h3:1', 'h4:1 weight=4']
  const owners = [0, 0, 2, 3, 3, 3, 3]
  const balancer = balancerOf({ strategy: 'jump-hash', servers })

  for (let index = 0; index < 300; index++) {
    const key = `user-${index}`
    const bucket = jumpBucket(new Xxh64().hash(key), 7)
    assert.equal(balancer.get({ key, tried: undefined }), balancer.targets[owners[bucket] ?? -1])
  }
})

function uint64(value: bigint): Uint64 {
  return new Uint64().set(Number(value >> 32n), Number(value & 0xffffffffn))
}

function referenceJump(key: bigint, buckets: number): number {
  let state = key
  let bucket = -1
  let next = 0
  while (next < buckets) {
    bucket = next
    state = BigInt.asUintN(64, state * 2862933555777941757n + 1n)
    next = Math.floor((bucket + 1) * (2 ** 31 / (Number(state >> 33n) + 1)))
  }
  return bucket
}
