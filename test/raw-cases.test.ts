import assert from 'node:assert/strict'
import { after, describe, it, test } from 'node:test'
import { rawCaseGroups } from './conformance-raw.ts'
import { Lanes } from './raw-case-lane.ts'
import { complaints, isOutcome, outcomeOf } from './raw-case-verdict.ts'

const LANES = 12

describe('raw cases of other suites', { concurrency: LANES }, () => {
  const lanes = new Lanes(LANES)
  after(() => lanes.close())

  for (const { group, allowed: common, cases } of rawCaseGroups) {
    for (const one of cases) {
      it(`${group}, ${one.id}: ${one.title}`, async () => {
        const { seen, broken } = await lanes.run(one)
        const complaint = complaints(one.allowed ?? common ?? {}, seen).join('; ')

        assert.deepEqual(broken, [])
        if (!isOutcome(seen, one)) {
          assert.deepEqual(outcomeOf(seen), { outcome: one.outcome, forwarded: one.forwarded ?? [] })
        }
        // A case with a reason must not pass in silence either.
        assert.equal(
          complaint !== '',
          one.reason !== undefined,
          complaint || 'the source allows this, so why a reason?'
        )
      })
    }
  }
})

test('cases of other suites name their source, and occur once', () => {
  const cases = rawCaseGroups.flatMap(({ source, cases }) => cases.map((one) => ({ source, ...one })))

  assert.equal(new Set(cases.map(({ id }) => id)).size, cases.length)
  assert.deepEqual(
    cases.filter(({ source = '', title }) => source === '' || title === ''),
    []
  )
})
