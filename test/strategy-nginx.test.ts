import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Balancer, Target } from '../plugins/balancer/index.ts'
import { balancerOf, exchange, FakeClock, hold, sequence } from './balancer-helper.ts'
import { fixture } from './helper.ts'

interface Case {
  directive: string
  servers: string[]
  sequence?: string
  tries?: string | string[]
  held?: string
  wait?: number
  after?: string
}

interface StatusCase {
  servers: string[]
  before: string[]
  during: string[]
  after: string[]
}

const { tg_511_mf3: statusCase, ...roundRobinCases } = fixture<{
  cases: Record<string, Case> & { tg_511_mf3: StatusCase }
}>('nginx-round-robin.json').cases
const recordedCases = fixture<{ cases: Record<string, Case> }>('nginx-recorded.json').cases
const edge = fixture<{ cases: { ch_empty_key: string; ch_maxconns: Case & { key: string }; rr_maxconns: Case } }>(
  'nginx-edge.json'
).cases

const cases: Record<string, Case> = { ...roundRobinCases, ...recordedCases }

for (const [name, { directive, servers, sequence: expected, tries, held, wait, after }] of Object.entries(cases)) {
  const strategy =
    directive === 'least_conn' ? { name: 'least-connections', compat: 'nginx' } : 'smooth-weighted-round-robin'

  if (expected !== undefined) {
    test(`nginx ${name}: the same sequence`, () => {
      const balancer = balancerOf({ strategy, servers })

      const picked = sequence(balancer, expected.split(',').length)

      assert.equal(picked, expected)
    })
  }

  if (tries !== undefined) {
    test(`nginx ${name}: the same targets tried`, () => {
      const clock = new FakeClock()
      const balancer = balancerOf({ strategy, servers, clock })
      const expectedTries = list(tries)

      const first = expectedTries.map(() => refused(balancer))
      clock.time += wait ?? 0
      const second = list(after ?? []).map(() => refused(balancer))

      assert.deepEqual(first, expectedTries)
      assert.deepEqual(second, list(after ?? []))
    })
  }

  if (held !== undefined) {
    test(`nginx ${name}: the same targets while none ends`, () => {
      const balancer = balancerOf({ strategy, servers })

      const picked = hold(balancer, held.split(',').length)

      assert.equal(picked, held)
    })
  }
}

test('nginx tg_511_mf3: a target that answers 500 for a while loses its weight and gets it back', () => {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers: statusCase.servers, clock })
  const isFirst = (target: Target) => target === balancer.targets[0]
  const run = (count: number, isFailing: (target: Target) => boolean) =>
    Array.from({ length: count }, () => exchange(balancer, isFailing).join('>'))

  const before = run(statusCase.before.length, () => false)
  const during = run(statusCase.during.length, isFirst)
  clock.time += 3100
  const after = run(statusCase.after.length, () => false)

  assert.deepEqual(
    { before, during, after },
    { before: statusCase.before, during: statusCase.during, after: statusCase.after }
  )
})

test('nginx rr_maxconns: a full target is passed over', () => {
  const { servers, sequence: expected = '' } = edge.rr_maxconns
  const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers })

  const picked = hold(balancer, expected.split(',').length)

  assert.equal(picked, expected)
})

test('nginx ch_maxconns: a hot key fills one target after the other, then none is left', () => {
  const { key, sequence: expected = '' } = edge.ch_maxconns
  const servers = [19101, 19102, 19103, 19104].map((port) => `127.0.0.1:${port} max_conns=2`)
  const balancer = balancerOf({ strategy: 'consistent-hash', servers })

  const picked = hold(balancer, expected.split(',').length, key)

  assert.equal(picked, expected)
})

for (const key of [undefined, '']) {
  test(`nginx ch_empty_key: without a key (${JSON.stringify(key)}) the targets take turns`, () => {
    const servers = [19001, 19002, 19003].map((port) => `127.0.0.1:${port}`)
    const balancer = balancerOf({ strategy: 'consistent-hash', servers })

    const picked = hold(balancer, edge.ch_empty_key.split(',').length, key)

    assert.equal(picked, edge.ch_empty_key)
  })
}

/** One exchange in which the targets on ports 199xx refuse; written as the vectors are. */
function refused(balancer: Balancer): string {
  const isDead = (target: Target) => target.port >= 19900
  return exchange(balancer, isDead)
    .map((letter) => (letter !== '502' && isDeadLetter(balancer, letter, isDead) ? `${letter}!` : letter))
    .join('>')
    .replace(/>?502/, ' [502]')
    .replace(/^ /, '')
}

function isDeadLetter(balancer: Balancer, letter: string, isDead: (target: Target) => boolean): boolean {
  const target = balancer.targets[letter.charCodeAt(0) - 97]
  return target !== undefined && isDead(target)
}

function list(value: string | string[]): string[] {
  return typeof value === 'string' ? value.split(',') : value
}
