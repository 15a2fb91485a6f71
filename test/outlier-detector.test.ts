import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Balancer, Outcome, Target } from '../plugins/balancer/index.ts'
import { OutlierDetector, type OutlierOptions } from '../plugins/health/outlier-detector.ts'
import { RollingCounts } from '../plugins/health/rolling-counts.ts'
import { outlierThreshold } from '../plugins/health/success-rates.ts'
import { balancerOf, FakeClock } from './balancer-helper.ts'

const OFF = {
  consecutiveFailures: 0,
  window: 10_000,
  minRequests: 10,
  failureRate: 0,
  deviation: 0,
  ejection: { base: 30_000, max: 300_000, jitter: 0, share: 0.1 }
}

interface Setup {
  readonly balancer: Balancer
  readonly clock: FakeClock
  readonly events: string[]
  readonly detector: OutlierDetector
  /** The target of a number, from 1 on. */
  target(number: number): Target
  /** Attempts at a target that all end in the same way. */
  attempt(number: number, outcome: Outcome, times?: number): void
  /** Lets time pass, with all ticks that are due. */
  pass(milliseconds: number): void
}

function setUp(
  targets: number,
  options: Partial<OutlierOptions>,
  { random = () => 0, mayLeaveNone = true }: { random?: () => number; mayLeaveNone?: boolean } = {}
): Setup {
  const clock = new FakeClock()
  const servers = Array.from({ length: targets }, (_, index) => `h${index + 1}:1 max_fails=0`)
  const balancer = balancerOf({ strategy: 'round-robin', servers, clock, more: { panicThreshold: 0 } })
  const events: string[] = []
  const whole = { ...OFF, ...options }
  const detector = new OutlierDetector(whole, {
    targets: () => balancer.targets,
    mayLeaveNone,
    now: clock.now,
    random,
    onEject: ({ hostname }, reason, milliseconds) => events.push(`${hostname} out for ${milliseconds}: ${reason}`),
    onReturn: ({ hostname }, reason) => events.push(`${hostname} back: ${reason}`)
  })
  balancer.observe(detector)
  const target = (number: number): Target => {
    const found = balancer.targets[number - 1]
    assert.ok(found)
    return found
  }
  return {
    ...{ balancer, clock, events, detector, target },
    attempt(number, outcome, times = 1) {
      for (let left = times; left > 0; left--) {
        balancer.acquire(target(number))
        balancer.release(target(number), outcome)
      }
    },
    pass(milliseconds) {
      const step = RollingCounts.stepOf(whole.window)
      for (let left = milliseconds; left > 0; left -= step) {
        clock.time += Math.min(step, left)
        detector.tick()
      }
    }
  }
}

test('a target is ejected at the last of so many failures in a row, and is back when its time is over', () => {
  const { balancer, events, target, attempt, pass } = setUp(3, { consecutiveFailures: 5 })

  attempt(1, 'failure', 4)
  attempt(1, 'success')
  attempt(1, 'error', 2)
  attempt(1, 'failure', 2)
  assert.deepEqual(events, [])
  attempt(1, 'error')
  assert.equal(target(1).has('ejected'), true)
  assert.deepEqual(new Set(Array.from({ length: 20 }, () => balancer.get()?.hostname)), new Set(['h2', 'h3']))
  pass(29_000)
  assert.equal(target(1).has('ejected'), true)
  pass(1_000)

  assert.deepEqual(events, ['h1 out for 30000: consecutive failures', 'h1 back: its time is over'])
  assert.equal(target(1).has('ejected'), false)
})

test('clients that leave do not count, neither as failures nor as successes', () => {
  const { events, attempt } = setUp(3, { consecutiveFailures: 3, failureRate: 0.1, minRequests: 1000 })

  attempt(1, 'neutral', 50)
  attempt(1, 'failure', 2)
  attempt(1, 'neutral', 50)
  assert.deepEqual(events, [])
  attempt(1, 'failure')

  assert.deepEqual(events, ['h1 out for 30000: consecutive failures'])
})

test('each ejection is longer than the one before, up to the longest; well-behaved windows take it back', () => {
  const { events, attempt, pass } = setUp(3, {
    consecutiveFailures: 1,
    ejection: { ...OFF.ejection, max: 70_000 }
  })

  for (const back of [30_000, 60_000, 70_000]) {
    attempt(1, 'failure')
    pass(back)
  }
  attempt(1, 'failure')
  pass(70_000)
  pass(40_000)
  attempt(1, 'failure')

  assert.deepEqual(
    events.filter((event) => event.includes('out')).map((event) => event.split(' ')[3]),
    ['30000:', '60000:', '70000:', '70000:', '30000:']
  )
})

test('a random time up to the jitter is added', () => {
  const { events, attempt } = setUp(
    3,
    { consecutiveFailures: 1, ejection: { ...OFF.ejection, jitter: 1_000 } },
    { random: () => 0.25 }
  )

  attempt(1, 'failure')

  assert.deepEqual(events, ['h1 out for 30250: consecutive failures'])
})

for (const { targets, share, ejected } of [
  { targets: 1, share: 0.1, ejected: 1 },
  { targets: 10, share: 0.1, ejected: 1 },
  { targets: 20, share: 0.1, ejected: 2 },
  { targets: 11, share: 0.1, ejected: 1 },
  { targets: 10, share: 0.35, ejected: 3 },
  { targets: 4, share: 1, ejected: 4 },
  { targets: 4, share: 0, ejected: 1 }
]) {
  test(`of ${targets} failing targets, ${ejected} are ejected where the share is ${share}`, () => {
    const { balancer, attempt } = setUp(targets, {
      consecutiveFailures: 1,
      ejection: { ...OFF.ejection, share }
    })

    for (let number = 1; number <= targets; number++) attempt(number, 'failure', 3)

    assert.equal(balancer.targets.filter((target) => target.has('ejected')).length, ejected)
  })
}

test('where nothing stands in for all targets, the last that could be used is not ejected', () => {
  const { balancer, events, target, attempt, pass } = setUp(
    4,
    { consecutiveFailures: 1, ejection: { ...OFF.ejection, share: 1 } },
    { mayLeaveNone: false }
  )
  target(1).down = true
  balancer.drain(target(2).url)

  attempt(3, 'failure')
  attempt(4, 'failure', 3)
  assert.deepEqual(events, ['h3 out for 30000: consecutive failures'])
  pass(30_000)
  attempt(4, 'failure')

  assert.deepEqual(events.slice(1), ['h3 back: its time is over', 'h4 out for 30000: consecutive failures'])
})

test('an only target is not ejected where nothing stands in for it', () => {
  const { events, attempt } = setUp(1, { consecutiveFailures: 1 }, { mayLeaveNone: false })

  attempt(1, 'failure', 3)

  assert.deepEqual(events, [])
})

test('the longest ejection is not less than the first', () => {
  const { events, attempt, pass } = setUp(3, {
    consecutiveFailures: 1,
    ejection: { ...OFF.ejection, base: 400_000 }
  })

  attempt(1, 'failure')
  pass(400_000)
  attempt(1, 'failure')

  assert.deepEqual(events, [
    'h1 out for 400000: consecutive failures',
    'h1 back: its time is over',
    'h1 out for 400000: consecutive failures'
  ])
})

test('another target is ejected once one is back', () => {
  const { events, attempt, pass } = setUp(3, { consecutiveFailures: 1 })

  attempt(1, 'failure')
  attempt(2, 'failure')
  pass(30_000)
  attempt(2, 'failure')

  assert.deepEqual(events, [
    'h1 out for 30000: consecutive failures',
    'h1 back: its time is over',
    'h2 out for 30000: consecutive failures'
  ])
})

test('a rate of failures counts once there were enough requests within the window', () => {
  const { events, attempt, pass } = setUp(3, { failureRate: 0.3, minRequests: 20 })

  attempt(1, 'failure', 6)
  attempt(1, 'success', 13)
  pass(10_000)
  attempt(1, 'success', 13)
  attempt(1, 'failure', 5)
  assert.deepEqual(events, [])
  attempt(1, 'success')
  attempt(1, 'failure')

  assert.deepEqual(events, ['h1 out for 30000: failure rate'])
})

test('after each window, a target whose success rate is far below that of its peers is ejected', () => {
  const { events, attempt, pass } = setUp(8, { deviation: 1.9, minRequests: 10 })

  for (let number = 2; number <= 8; number++) attempt(number, 'success', 20)
  attempt(1, 'success', 15)
  attempt(1, 'failure', 5)
  assert.deepEqual(events, [])
  pass(10_000)

  assert.deepEqual(events, ['h1 out for 30000: success rate'])
})

test('success rates of fewer than five targets with enough requests are not compared', () => {
  const { events, attempt, pass } = setUp(8, { deviation: 1, minRequests: 10 })

  attempt(1, 'failure', 20)
  for (const number of [2, 3, 4]) attempt(number, 'success', 20)
  for (const number of [5, 6, 7, 8]) attempt(number, 'success', 9)
  pass(10_000)

  assert.deepEqual(events, [])
})

test('targets that all fail alike are no outliers', () => {
  const { events, attempt, pass } = setUp(6, { deviation: 1.9, minRequests: 10 })

  for (let number = 1; number <= 6; number++) {
    attempt(number, 'failure', 10)
    attempt(number, 'success', 10)
  }
  pass(20_000)

  assert.deepEqual(events, [])
})

test('an ejected target is back at once for who knows better, and is judged afresh', () => {
  const { events, detector, target, attempt } = setUp(3, { consecutiveFailures: 2 })

  attempt(1, 'failure', 2)
  detector.readmit(target(1), 'a check')
  detector.readmit(target(1), 'a check')
  attempt(1, 'failure')
  assert.equal(target(1).has('ejected'), false)
  attempt(1, 'failure')

  assert.deepEqual(events, [
    'h1 out for 30000: consecutive failures',
    'h1 back: a check',
    'h1 out for 60000: consecutive failures'
  ])
})

test('what was under way at the ejection does not count when it ends', () => {
  const { balancer, events, target, attempt, pass } = setUp(3, { consecutiveFailures: 2 })
  for (let left = 3; left > 0; left--) balancer.acquire(target(1))

  attempt(1, 'failure', 2)
  for (let left = 3; left > 0; left--) balancer.release(target(1), 'failure')
  pass(30_000)
  attempt(1, 'failure')

  assert.deepEqual(events, ['h1 out for 30000: consecutive failures', 'h1 back: its time is over'])
})

test('a removed target makes room for another ejection', () => {
  const { balancer, events, target, attempt } = setUp(3, { consecutiveFailures: 1 })

  attempt(1, 'failure')
  balancer.remove(target(1).url)
  attempt(1, 'failure')

  assert.deepEqual(events, ['h1 out for 30000: consecutive failures', 'h2 out for 30000: consecutive failures'])
})

test('counts forget what is a window old', () => {
  const counts = new RollingCounts()

  for (const isFailure of [true, false, true]) counts.add(isFailure)
  for (let step = 1; step <= 9; step++) counts.advance()
  counts.add(true)
  assert.deepEqual([counts.total, counts.failed, counts.failureRate], [4, 3, 0.75])
  counts.advance()

  assert.deepEqual([counts.total, counts.failed, counts.failureRate], [1, 1, 1])
})

test('the threshold is the mean of the success rates less so many standard deviations', () => {
  assert.equal(outlierThreshold([1, 1, 1, 0.5], 1.9), undefined)
  // Mean 0.9, standard deviation 0.2.
  assert.ok(Math.abs((outlierThreshold([1, 1, 1, 1, 0.5], 1.9) ?? 0) - (0.9 - 1.9 * 0.2)) < 1e-12)
})
