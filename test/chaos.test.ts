import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULTS } from '../bench/chaos/behaviour.ts'
import { chaos } from '../bench/chaos/run.ts'
import { PLAIN, RESILIENT } from '../bench/chaos/setups.ts'

// Long enough for healthy targets on a busy machine.
const timeouts = { connect: '2s', response: '2s' } as const
const rate = { perSecond: 60, seconds: 3, seed: 7 }

test('of ten targets, one slow, one failing, one flapping and one a black hole, clients see nothing', async () => {
  const { requests, errors } = await chaos({ ...rate, behaviours: FAULTS, upstream: { ...RESILIENT, timeouts } })

  assert.equal(requests, 180)
  assert.deepEqual([...errors], [])
})

test('without retries and health, clients see the same targets fail', async () => {
  const { errors } = await chaos({ ...rate, behaviours: FAULTS, upstream: { ...PLAIN, timeouts } })

  assert.ok((errors.get('504') ?? 0) > 0, 'nobody met the black hole')
  assert.ok((errors.get('502') ?? 0) > 0, 'nobody met a reset')
})
