import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KetamaRing } from '../plugins/balancer/hashing/ketama-ring.ts'
import { seeded } from './balancer-helper.ts'

type Point = readonly [hash: number, owner: number]

/** Few hashes and many of them equal, at both ends of the ring. */
function randomPoints(random: () => number): Uint32Array {
  const points = Array.from({ length: Math.floor(random() * 4) * 5 }, () => {
    const hash = Math.floor(random() * 60)
    return random() < 0.5 ? hash : 2 ** 32 - 1 - hash * 7_100_000
  })
  return Uint32Array.from(points).sort()
}

function sorted(owners: readonly Uint32Array[]): Point[] {
  const points = owners.flatMap((hashes, owner) => [...hashes].map((hash): Point => [hash, owner]))
  return points.sort((a, b) => a[0] - b[0] || a[1] - b[1])
}

function assertSame(ring: KetamaRing, points: readonly Point[], random: () => number): void {
  assert.equal(ring.size, points.length)
  assert.deepEqual(
    points.map((_, index) => ring.ownerAt(index)),
    points.map(([, owner]) => owner)
  )
  if (points.length === 0) return
  for (const hash of [0, 2 ** 32 - 1, ...Array.from({ length: 20 }, () => Math.floor(random() * 2 ** 32))]) {
    assert.equal(
      ring.find(hash),
      Math.max(
        0,
        points.findIndex(([other]) => other >= hash)
      ),
      `hash ${hash}`
    )
  }
}

test('a ring that points are added to, replaced on and removed from is as one that was sorted anew', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seeded(seed)
    const ring = new KetamaRing()
    const owners: Uint32Array[] = []
    for (let change = 0; change < 12; change++) {
      const points = randomPoints(random)
      const kind = random()
      const owner = Math.floor(random() * owners.length)
      if (kind < 0.5 || owners.length === 0) {
        ring.add(owners.length, points)
        owners.push(points)
      } else if (kind < 0.75) {
        ring.replace(owner, points)
        owners[owner] = points
      } else {
        ring.remove(owner)
        owners.splice(owner, 1)
      }
      if (random() < 0.6) assertSame(ring, sorted(owners), random)
    }
  }
})
