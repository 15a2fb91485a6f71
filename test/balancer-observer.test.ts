import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BalancerObserver, createBalancers, type Obstacle } from '../plugins/balancer/index.ts'
import { balancerOf } from './balancer-helper.ts'

const OBSTACLES: Obstacle[] = ['down', 'unhealthy', 'ejected', 'open', 'pending']

for (const strategy of createBalancers().strategies.names) {
  test(`${strategy}: a target with an obstacle is not picked until the last one is gone`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1'] })
    const [first, second] = balancer.targets
    assert.ok(first && second)
    const picks = () =>
      new Set(Array.from({ length: 200 }, (_, index) => balancer.get({ key: `k${index}`, tried: undefined })))

    for (const obstacle of OBSTACLES) first.set(obstacle, true)
    for (const obstacle of OBSTACLES) {
      assert.deepEqual([...picks()], [second], obstacle)
      first.set(obstacle, false)
    }

    assert.equal(picks().has(first), true)
  })
}

for (const obstacle of OBSTACLES) {
  test(`the only target is not picked while it is ${obstacle}`, () => {
    const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1'], more: { panicThreshold: 0 } })

    balancer.targets[0]?.set(obstacle, true)

    assert.equal(balancer.get(), undefined)
  })
}

test('an observer is told of each change once, of outcomes, and of who joins and leaves', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1 backup'] })
  const [first, backup] = balancer.targets
  assert.ok(first && backup)
  const seen: string[] = []
  const observer: BalancerObserver = {
    onAdd: (target) => seen.push(`add ${target.hostname}`),
    onRemove: (target) => seen.push(`remove ${target.hostname}`),
    onChange: (target, change) => seen.push(`${change} ${target.hostname}`),
    onOutcome: (target, outcome) => seen.push(`${outcome} ${target.hostname} ${target.inFlight}`)
  }

  balancer.observe(observer)
  first.set('ejected', true)
  first.set('ejected', true)
  first.draining = true
  first.draining = true
  backup.down = true
  balancer.add('http://h3')
  for (const target of [first, backup]) balancer.acquire(target)
  balancer.release(first, 'failure')
  balancer.remove(backup.url)
  balancer.release(backup, 'success')

  assert.deepEqual(seen, ['ejected h1', 'draining h1', 'down h2', 'add h3', 'failure h1 0', 'remove h2'])
})

test('an observer hears of outcomes at the only target, too', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1'] })
  const [only] = balancer.targets
  assert.ok(only)
  const seen: string[] = []
  balancer.observe({ onOutcome: (_target, outcome) => seen.push(outcome) })

  balancer.acquire(only)
  balancer.release(only, 'failure')

  assert.deepEqual(seen, ['failure'])
})
