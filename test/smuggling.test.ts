import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, describe, it, test } from 'node:test'
import { fixture } from './helper.ts'
import { Lanes } from './raw-case-lane.ts'
import type { RawCaseGroup } from './raw-case-types.ts'
import { complaints, isOutcome, outcomeOf } from './raw-case-verdict.ts'

const LANES = 12

/** Follows every case on the same connection: it must neither be swallowed nor be joined by a request of its own making. */
const BEHIND = 'GET /behind HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n'

const groups = readdirSync('test/fixtures/smuggling').map((file) => fixture<RawCaseGroup>(`smuggling/${file}`))

describe('what two parsers could read as two messages', { concurrency: LANES }, () => {
  const lanes = new Lanes(LANES)
  after(() => lanes.close())

  for (const { group, cases } of groups) {
    for (const one of cases) {
      it(`${group}: ${one.title} (${one.source})`, async () => {
        const { seen, broken } = await lanes.run({ ...one, send: [...one.send, BEHIND] })

        assert.deepEqual(broken, [])
        if (!isOutcome(seen, one)) {
          assert.deepEqual(outcomeOf(seen), { outcome: one.outcome, forwarded: one.forwarded ?? [] })
        }
        assert.deepEqual(complaints(one.allowed ?? {}, seen), [])
      })
    }
  }
})

test('cases of smuggling name their source, and occur once', () => {
  const cases = groups.flatMap(({ cases }) => cases)

  assert.equal(new Set(cases.map(({ id }) => id)).size, cases.length)
  assert.deepEqual(
    cases.filter(({ source = '', title }) => source === '' || title === ''),
    []
  )
})
