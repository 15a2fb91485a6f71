import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from '../plugins/config/index.ts'
import { readRetryAfter } from '../plugins/proxy/forwarding/retry-after.ts'
import { RetryPolicy } from '../plugins/proxy/forwarding/retry-policy.ts'

const NOW = Date.UTC(2026, 10, 25, 12, 0, 0)

function policy(retry: object = {}, random = 0.5): RetryPolicy {
  const config = parseOptions({ upstreams: { users: { retry } } }).upstreams.users?.retry
  assert.ok(config !== undefined)
  return new RetryPolicy(config, { now: () => 0, random: () => random, date: () => NOW })
}

test('the wait before a retry is drawn from a range that grows to 250 ms', () => {
  const bounds = [1, 2, 3, 4, 5, 9].map((retry) => policy({}, 1).backoff(retry))

  assert.deepEqual(bounds, [25, 75, 175, 250, 250, 250])
  assert.equal(policy({}, 0).backoff(4), 0)
  assert.equal(policy({}, 0.5).backoff(2), 37.5)
})

test('retry.backoff sets both ends of the range, and a base of 0 turns it off', () => {
  assert.deepEqual(
    [1, 2, 3].map((retry) => policy({ backoff: { base: '1s', max: '2s' } }, 1).backoff(retry)),
    [1_000, 2_000, 2_000]
  )
  assert.equal(policy({ backoff: { base: 0 } }, 1).backoff(5), 0)
})

const forms: [value: string, wait: number | undefined][] = [
  ['120', 120_000],
  ['0', 0],
  ['Wed, 25 Nov 2026 12:00:30 GMT', 30_000],
  ['Wednesday, 25-Nov-26 12:00:30 GMT', 30_000],
  ['Wed Nov 25 12:00:30 2026', 30_000],
  ['Wed, 25 Nov 2026 11:00:00 GMT', 0],
  ['soon', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['', undefined],
  ['2026-11-25T12:00:30Z', undefined]
]

for (const [value, wait] of forms) {
  test(`Retry-After: '${value}' means ${wait === undefined ? 'nothing' : `${wait} ms`} (RFC 9110, section 10.2.3)`, () => {
    assert.equal(readRetryAfter(['Server', 'x', 'retry-AFTER', value], NOW), wait)
  })
}

test('a Retry-After of up to retry.maxRetryAfter is waited for, a longer one is not', () => {
  const { waitOf } = { waitOf: (value: string, retry = {}) => policy(retry).waitOf(['Retry-After', value]) }

  assert.equal(waitOf('5'), 5_000)
  assert.equal(waitOf('6'), Number.POSITIVE_INFINITY)
  assert.equal(waitOf('6', { maxRetryAfter: '1m' }), 6_000)
  assert.equal(policy().waitOf(['Content-Length', '5']), 0)
})

test('a retry.maxRetryAfter of 0 leaves Retry-After to the client', () => {
  assert.equal(policy({ maxRetryAfter: 0 }).waitOf(['Retry-After', '120']), 0)
})
