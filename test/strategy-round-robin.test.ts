import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balancerOf, hold, sequence } from './balancer-helper.ts'

const cases = [
  { name: 'takes turns from the first on', servers: ['h1:1', 'h2:1', 'h3:1'], expected: 'a,b,c,a,b,c,a' },
  { name: 'ignores weights', servers: ['h1:1 weight=5', 'h2:1'], expected: 'a,b,a,b' },
  { name: 'never takes weight 0', servers: ['h1:1', 'h2:1 weight=0', 'h3:1'], expected: 'a,c,a,c' },
  {
    name: 'gives nobody the turn of a target that is down',
    servers: ['h1:1 down', 'h2:1', 'h3:1'],
    expected: 'b,c,b,c'
  },
  { name: 'has no answer when all are down', servers: ['h1:1 down', 'h2:1 down'], expected: '502,502' }
]
for (const { name, servers, expected } of cases) {
  test(`round robin: ${name}`, () => {
    const balancer = balancerOf({ strategy: 'round-robin', servers })

    assert.equal(sequence(balancer, expected.split(',').length), expected)
  })
}

test('round robin: full targets are passed over', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1 max_conns=1', 'h2:1 max_conns=2', 'h3:1'] })

  assert.equal(hold(balancer, 6), 'a,b,c,b,c,c')
})

const removals = [
  { removed: 'http://h1:1', expected: ['http://h3:1', 'http://h4:1', 'http://h2:1'] },
  { removed: 'http://h3:1', expected: ['http://h4:1', 'http://h1:1', 'http://h2:1'] },
  { removed: 'http://h4:1', expected: ['http://h3:1', 'http://h1:1', 'http://h2:1'] }
]
for (const { removed, expected } of removals) {
  test(`round robin: removing ${removed} after two turns skips nobody and repeats nobody`, () => {
    const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1'] })
    sequence(balancer, 2)

    balancer.remove(removed)

    assert.deepEqual([balancer.get()?.url, balancer.get()?.url, balancer.get()?.url], expected)
  })
}

test('round robin: an added target has its turn at the end of the list', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'] })
  sequence(balancer, 1)

  balancer.add('http://h3:1')

  assert.equal(sequence(balancer, 4), 'b,c,a,b')
})
