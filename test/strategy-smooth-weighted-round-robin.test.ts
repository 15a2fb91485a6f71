import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerOf, FakeClock, hold, sequence } from './balancer-helper.ts'

test('smooth weighted round robin: weight is not lost below nothing, however many attempts fail at once', () => {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers: ['h1:1 weight=2', 'h2:1'], clock })
  const [first] = balancer.targets
  assert.ok(first)
  assert.equal(hold(balancer, 3), 'a,b,a')

  balancer.release(first, 'failure')
  balancer.release(first, 'failure')
  clock.time += 10_001

  assert.equal(sequence(balancer, 7), 'b,a,b,a,a,b,a')
})

test('smooth weighted round robin: the targets that stay keep their proportion after one has left', () => {
  const servers = ['h1:1 weight=9', 'h2:1 weight=2', 'h3:1']
  const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers })
  sequence(balancer, 5)

  balancer.remove('http://h1:1')
  sequence(balancer, 30)
  const picked = sequence(balancer, 270).split(',')

  assert.deepEqual(
    ['a', 'b'].map((letter) => picked.filter((pick) => pick === letter).length),
    [180, 90]
  )
})

test('smooth weighted round robin: a target that joins takes its share at once', () => {
  const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers: ['h1:1', 'h2:1'] })
  sequence(balancer, 2)

  balancer.add({ url: 'http://h3:1', weight: 2 })

  assert.equal(sequence(balancer, 4), 'c,a,b,c')
})
