import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BreakerOptions, type BreakerState, CircuitBreaker } from '../plugins/health/circuit-breaker.ts'
import { FakeClock, seeded } from './balancer-helper.ts'

const OPTIONS = {
  failureRate: 0.5,
  consecutiveFailures: 0,
  window: 10_000,
  minRequests: 10,
  openFor: 10_000,
  recovery: 10_000
}

function setUp(options: Partial<BreakerOptions> = {}, random = seeded(7)) {
  const clock = new FakeClock()
  const states: BreakerState[] = []
  const breaker = new CircuitBreaker(
    { ...OPTIONS, ...options },
    { now: clock.now, random, onChange: (state) => states.push(state) }
  )
  const record = (isFailure: boolean, times: number) => {
    for (let left = times; left > 0; left--) breaker.record(isFailure)
  }
  /** Of so many requests, how many it lets through. */
  const admitted = (requests: number) => Array.from({ length: requests }, () => breaker.admit()).filter(Boolean).length
  return { breaker, clock, states, record, admitted }
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
