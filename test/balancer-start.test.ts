import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBalancers } from '../plugins/balancer/index.ts'
import { readServer, scripted, sequence } from './balancer-helper.ts'

const SERVERS = ['h1:1 weight=5', 'h2:1', 'h3:1', 'h4:1 weight=2 backup']

const starts = [
  { strategy: 'smooth-weighted-round-robin', draw: 0, expected: 'a,a,b,a,c,a,a' },
  { strategy: 'smooth-weighted-round-robin', draw: 0.23, expected: 'b,a,c,a,a,a,a' },
  { strategy: 'smooth-weighted-round-robin', draw: 0.99, expected: 'a,b,a,c,a,a,a' },
  { strategy: 'round-robin', draw: 0.12, expected: 'b,c,a,b,c,a,b' }
]

for (const { strategy, draw, expected } of starts) {
  test(`${strategy} that starts anywhere goes on in its order, drawn ${draw}`, () => {
    const upstreams = { test: { strategy, targets: SERVERS.map(readServer) } }
    const balancers = createBalancers({ upstreams, random: scripted([draw]) })

    balancers.startAnywhere()

    assert.equal(sequence(balancers.get('test'), 7), expected)
  })
}
