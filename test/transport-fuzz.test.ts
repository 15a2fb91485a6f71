import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { fuzzInWorkers } from '../bench/fuzz/shares.ts'

const COUNT = 100_000

test('nothing is accepted that Node.js refuses, and nothing is framed in another way', async () => {
  const workers = Math.min(2, availableParallelism())

  const { count, accepted, refused, differences } = await fuzzInWorkers({ count: COUNT, seed: 20_261_125, workers })

  assert.deepEqual(differences, [])
  assert.equal(count, COUNT)
  // Neither too tame nor too wild: both ways are taken often, and for many reasons.
  assert.ok(accepted > COUNT / 3 && accepted < (COUNT * 2) / 3)
  assert.ok(refused.size > 20)
})
