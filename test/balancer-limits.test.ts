import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBalancers, FULL_RAMP } from '../plugins/balancer/index.ts'
import { balancerOf, FakeClock } from './balancer-helper.ts'

test('an upstream at its limit has no target until an attempt ends, at whichever of them', () => {
  const balancer = balancerOf({
    strategy: 'round-robin',
    servers: ['h1:1', 'h2:1', 'h3:1 backup'],
    more: { maxConnections: 3 }
  })
  const [first, second, backup] = balancer.targets
  assert.ok(first && second && backup)

  for (const target of [first, second, backup]) balancer.acquire(target)
  assert.equal(balancer.isFull, true)
  assert.equal(balancer.get(), undefined)
  balancer.release(backup, 'neutral')

  assert.equal(balancer.isFull, false)
  assert.ok(balancer.get())
})

test('the limit of an upstream holds for its only target, too', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1'], more: { maxConnections: 1 } })
  const [only] = balancer.targets
  assert.ok(only)

  balancer.acquire(only)

  assert.equal(balancer.get(), undefined)
})

test('an attempt at a target that was removed does not count for the limit', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'], more: { maxConnections: 1 } })
  const [first] = balancer.targets
  assert.ok(first)

  balancer.acquire(first)
  balancer.remove(first.url)

  assert.equal(balancer.get()?.hostname, 'h2')
})

test('a ramp gives a target its weight back little by little, without a slow start of the upstream', () => {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers: ['h1:1', 'h2:1'], clock })
  const [first] = balancer.targets
  assert.ok(first)
  const ramps = () => {
    balancer.get()
    return first.ramp / FULL_RAMP
  }

  balancer.ramp(first, 10_000)
  const seen = [0, 5_000, 2_500, 2_500].map((milliseconds) => {
    clock.time += milliseconds
    return Number(ramps().toFixed(2))
  })

  assert.deepEqual(seen, [0.1, 0.5, 0.75, 1])
})

test('how long attempts take is measured where an observer asks for it', () => {
  const balancer = createBalancers({ upstreams: { test: { targets: ['http://h1:1'] } } }).get('test')
  const [only] = balancer.targets
  assert.ok(only)
  const seen: (number | undefined)[] = []

  assert.equal(balancer.measures, false)
  balancer.observe({ latency: true, onOutcome: (_target, _outcome, milliseconds) => seen.push(milliseconds) })
  balancer.acquire(only)
  balancer.release(only, 'success', 12)

  assert.equal(balancer.measures, true)
  assert.deepEqual(seen, [12])
})
