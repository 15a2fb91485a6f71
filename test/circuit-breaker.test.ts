import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BreakerOptions, type BreakerState, CircuitBreaker } from '../plugins/health/circuit-breaker.ts'
import { FakeClock, seeded } from './balancer-helper.ts'

const OPTIONS = {
  failureRate: 0.5,
  networkErrorRate: 0,
  slowRate: 0,
  consecutiveFailures: 0,
  window: 10_000,
  minRequests: 10,
  openFor: 10_000,
  recovery: 10_000
}

function setUp(options: Partial<BreakerOptions> = {}, random = seeded(7)) {
  const clock = new FakeClock()
  const states: BreakerState[] = []
  const causes: string[] = []
  const breaker = new CircuitBreaker(
    { ...OPTIONS, ...options },
    {
      ...{ now: clock.now, random },
      onChange(state, cause) {
        states.push(state)
        if (state === 'open') causes.push(cause)
      }
    }
  )
  const record = (isFailure: boolean, times: number) => {
    for (let left = times; left > 0; left--) breaker.record(isFailure ? 'failure' : 'success')
  }
  /** Of so many requests, how many it lets through. */
  const admitted = (requests: number) => Array.from({ length: requests }, () => breaker.admit()).filter(Boolean).length
  return { breaker, clock, states, causes, record, admitted }
}

test('a breaker opens at the rate of failures, once there were enough requests', () => {
  const { breaker, states, record, admitted } = setUp()

  record(true, 4)
  record(false, 5)
  assert.equal(admitted(10), 10)
  record(true, 1)

  assert.deepEqual(states, ['open'])
  assert.equal(admitted(10), 0)
  assert.equal(breaker.retryAfter, 10_000)
})

test('a breaker opens at so many failures in a row', () => {
  const { states, record } = setUp({ failureRate: 0, consecutiveFailures: 3 })

  record(true, 2)
  record(false, 1)
  record(true, 2)
  assert.deepEqual(states, [])
  record(true, 1)

  assert.deepEqual(states, ['open'])
})

test('a breaker opens at the rate of attempts without a usable response, whatever errors the others bring', () => {
  const { breaker, states, causes } = setUp({ failureRate: 0, networkErrorRate: 0.3 })

  for (let left = 20; left > 0; left--) breaker.record('error')
  for (let left = 8; left > 0; left--) breaker.record('failure')
  assert.deepEqual(states, [])
  breaker.record('failure')

  assert.deepEqual([states, causes], [['open'], ['network errors']])
})

test('a breaker opens at the rate of slow responses, which are no failures then; slow errors are both', () => {
  const { breaker, states, causes } = setUp({ failureRate: 0.2, slowRate: 0.5, consecutiveFailures: 3 })

  for (let left = 5; left > 0; left--) breaker.record('success')
  for (let left = 4; left > 0; left--) breaker.record('success', true)
  assert.deepEqual(states, [])
  breaker.record('error', true)

  assert.deepEqual([states, causes], [['open'], ['slow responses']])
})

test('without a rate of their own, slow responses are failures', () => {
  const { breaker, states, causes } = setUp({ consecutiveFailures: 2 })

  breaker.record('success', true)
  breaker.record('success')
  breaker.record('success', true)
  assert.deepEqual(states, [])
  breaker.record('success', true)

  assert.deepEqual([states, causes], [['open'], ['failures in a row']])
})

test('failures that are a window old do not count', () => {
  const { breaker, states, record } = setUp()

  record(true, 9)
  for (let step = 0; step < 10; step++) breaker.tick()
  record(true, 9)

  assert.deepEqual(states, [])
})

test('after the time it is open, a breaker lets through a share that grows evenly, then everything', () => {
  const { breaker, clock, states, record, admitted } = setUp()

  record(true, 10)
  clock.time += 9_999
  assert.equal(admitted(100), 0)
  assert.equal(breaker.retryAfter, 1)
  clock.time += 1
  assert.equal(admitted(1_000), 0)
  const shares = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((part) => {
    clock.time += 1_000
    return Math.abs(admitted(10_000) / 10_000 - part / 10) < 0.02
  })
  clock.time += 1_000

  assert.deepEqual(shares, Array(9).fill(true))
  assert.equal(admitted(100), 100)
  assert.deepEqual(states, ['open', 'recovering', 'closed'])
  assert.equal(breaker.retryAfter, 0)
})

test('too many failures while it recovers open a breaker again, for the whole time', () => {
  const { breaker, clock, states, record, admitted } = setUp()

  record(true, 10)
  clock.time += 15_000
  breaker.tick()
  record(false, 5)
  record(true, 5)
  clock.time += 9_999

  assert.equal(admitted(100), 0)
  assert.deepEqual(states, ['open', 'recovering', 'open'])
})

test('what was under way when a breaker opened does not count when it ends', () => {
  const { breaker, clock, states, record } = setUp()

  record(true, 30)
  clock.time += 10_000
  breaker.tick()
  record(true, 9)

  assert.deepEqual(states, ['open', 'recovering'])
})

test('time moves a breaker on without requests', () => {
  const { breaker, clock, states, record } = setUp()

  record(true, 10)
  clock.time += 10_000
  breaker.tick()
  clock.time += 10_000
  breaker.tick()

  assert.deepEqual(states, ['open', 'recovering', 'closed'])
})
