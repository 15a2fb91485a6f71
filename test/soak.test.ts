import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verdict } from '../bench/soak/report.ts'
import { soak } from '../bench/soak/run.ts'
import { Tally } from '../bench/soak/tally.ts'

test('a short soak loses no answer, and finds some of every sort', async () => {
  const result = await soak({ seconds: 2, answers: 400, seed: 1, clients: 8 })
  const { text, passed } = verdict(result)

  assert.ok(passed, text)
  for (const word of ['200', '502', 'visibly truncated', 'WebSocket echo']) {
    assert.ok((result.tally.counts.get(word) ?? 0) > 0, text)
  }
})

const asked = { id: 1, size: 3, body: Buffer.alloc(0) }
const empty = { status: 200, body: Buffer.alloc(0), received: undefined, complete: true }

for (const [name, got] of [
  ['no answer at all', { ...empty, status: 0, complete: false }],
  ['a body that is cut and looks complete', empty],
  ['a status that no fault leads to', { ...empty, status: 500 }],
  ['an upload that arrived as another', { ...empty, body: Buffer.from('1:a'), received: 'other' }]
] as const) {
  test(`the soak takes ${name} for wrong`, () => {
    const tally = new Tally()

    tally.add('GET', asked, got)

    assert.equal(tally.wrong.length, 1)
  })
}
