import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { rawCaseGroups } from './conformance-raw.ts'
import { foreignHook } from './forwarding-helper.ts'
import { Lanes } from './raw-case-lane.ts'
import type { Observation } from './raw-case-verdict.ts'

const LANES = 6
/** Those in which targets answer in one way or another. */
const GROUPS = ['framing', 'hop-by-hop', 'own', 'response', 'target-fault']
const NOTHING_SENT = 'a hook waits for the whole of a body, so that an error can be sent in place of half of it'
/** Cases in which the two differ, and why. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'own-resp-no-reason': 'of a response without a reason phrase, Fastify makes one with the usual phrase',
  'own-resp-chunk-trailer-length': NOTHING_SENT,
  'resp-rst-midbody': NOTHING_SENT
}

describe('a client gets the same bytes whether a hook of somebody else sees the response or not', {
  concurrency: LANES
}, () => {
  let calls = 0
  const direct = new Lanes(LANES)
  const hooked = new Lanes(LANES, (app) => {
    foreignHook(app)
    app.addHook('onSend', async () => void calls++)
  })
  after(async () => {
    await Promise.all([direct.close(), hooked.close()])
    assert.ok(calls > 0, 'no hook has run')
  })

  for (const { group, cases } of rawCaseGroups.filter(({ group }) => GROUPS.includes(group))) {
    for (const one of cases) {
      it(`${group}, ${one.id}: ${one.title}`, async () => {
        const [{ seen }, { seen: beside }] = await Promise.all([direct.run(one), hooked.run(one)])

        if (DIFFERENT[one.id] === undefined) assert.deepEqual(read(beside), read(seen))
        else assert.notDeepEqual(read(beside), read(seen))
      })
    }
  }
})

/**
 * What a client has received. Names of fields may be written in another case, and stand in another order. What is wrong
 * with a request may be found by Node.js or by the gateway, whoever is first; the date may be that of the next second.
 */
function read({ answers, closed }: Observation) {
  return {
    closed,
    answers: answers.map(({ head, body, trailers, complete }) => {
      const [line, ...all] = head.split('\r\n').map(lowerName)
      const isOwn = body.includes('"code":"FST_GATEWAY_')
      const fields = all.filter(
        (field) => !field.startsWith('date:') && !(isOwn && field.startsWith('content-length:'))
      )
      return { line, fields: fields.sort(), body: isOwn ? 'an error' : body, trailers, complete }
    })
  }
}

function lowerName(field: string): string {
  const colon = field.indexOf(':')
  return field.slice(0, colon).toLowerCase() + field.slice(colon)
}
