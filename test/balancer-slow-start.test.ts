import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Balancer, createBalancers, FULL_RAMP, type Obstacle, type Target } from '../plugins/balancer/index.ts'
import { balancerOf, exchange, FakeClock, hold, letterOf, seeded, settled } from './balancer-helper.ts'

const { names } = createBalancers().strategies
const WINDOW = 10_000
const SERVERS = ['h1:1', 'h2:1', 'h3:1']
const KEYED = ['consistent-hash', 'bounded-consistent-hash', 'maglev', 'rendezvous', 'jump-hash', 'hash', 'ip-hash']

for (const strategy of names.filter((name) => !name.startsWith('least-'))) {
  test(`${strategy}: a target that joins gets a tenth of its share at first, half of it in the middle, and all at the end`, async () => {
    const { clock, balancer } = starting(strategy)
    const newcomer = balancer.add('http://h4:1')
    await settled()
    const fair = (part: number) => (KEYED.includes(strategy) ? part / 4 : part / (3 + part))

    for (const [age, part] of [
      [0, 0.1],
      [WINDOW / 2, 0.5],
      [WINDOW, 1]
    ] as const) {
      clock.time = 1_000_000 + age
      const share = shareOf(balancer, newcomer)
      assert.ok(Math.abs(share - fair(part)) < 0.03, `${share} at ${age} ms, expected ${fair(part)}`)
    }
    assert.equal(newcomer.share, FULL_RAMP)
  })
}

for (const strategy of ['least-connections', { name: 'least-connections', compat: 'nginx' }, 'least-response-time']) {
  test(`${JSON.stringify(strategy)}: a target that joins gets attempts in flight by what it has of its weight`, () => {
    const { clock, balancer } = starting(strategy)
    const newcomer = balancer.add('http://h4:1')
    for (const target of balancer.targets) {
      balancer.acquire(target)
      balancer.release(target, 'success', 100)
    }

    clock.time += WINDOW / 4
    hold(balancer, 325)
    assert.ok(Math.abs(newcomer.inFlight - 25) <= 1, `${newcomer.inFlight} of 325`)

    clock.time += WINDOW
    hold(balancer, 75)
    assert.ok(Math.abs(newcomer.inFlight - 100) <= 1, `${newcomer.inFlight} of 400`)
  })
}

test('aggression makes the weight grow sooner, and minWeight is where it begins', () => {
  const { clock, balancer } = starting('random', { aggression: 2, minWeight: 0.25 })
  const newcomer = balancer.add('http://h4:1')
  const partAt = (age: number) => {
    clock.time = 1_000_000 + age
    balancer.get()
    return newcomer.ramp / FULL_RAMP
  }

  // The square root of the time: 1/4 after 1/16, 1/2 after 1/4.
  assert.deepEqual([0, 625, 2_500, 5_625, 9_999, 10_000].map(partAt), [0.25, 0.25, 0.5, 0.75, 255 / 256, 1])
})

for (const obstacle of ['down', 'unhealthy', 'ejected', 'open'] satisfies Obstacle[]) {
  test(`a target that was ${obstacle} starts slowly once it returns`, () => {
    const { clock, balancer } = starting('smooth-weighted-round-robin')
    const [first] = balancer.targets
    assert.ok(first)

    first.set(obstacle, true)
    assert.equal(first.ramp, FULL_RAMP)
    first.set(obstacle, false)

    assert.equal(first.ramp, Math.floor(FULL_RAMP / 10))
    clock.time += WINDOW
    balancer.get()
    assert.equal(first.ramp, FULL_RAMP)
  })
}

test('a target starts slowly when its last obstacle is gone, and again from the beginning each time', () => {
  const { clock, balancer } = starting('random')
  const [first] = balancer.targets
  assert.ok(first)
  const seen: string[] = []
  balancer.observe({ onChange: ({ ramp }, change) => seen.push(`${change} ${ramp}`) })

  first.set('unhealthy', true)
  first.set('open', true)
  first.set('unhealthy', false)
  assert.equal(first.ramp, FULL_RAMP)
  first.set('open', false)
  clock.time += WINDOW / 2
  balancer.get()
  first.set('open', true)
  first.set('open', false)
  clock.time += WINDOW / 2
  balancer.get()
  assert.equal(first.ramp, FULL_RAMP / 2)
  clock.time += WINDOW / 2
  balancer.get()

  assert.deepEqual(seen, [
    'unhealthy 256',
    'open 256',
    'unhealthy 256',
    'slow-start 25',
    'open 25',
    'slow-start 256',
    'open 256',
    'slow-start 25',
    'open 25',
    'slow-start 256'
  ])
})

test('a target that passes the probe after its failures starts slowly', () => {
  const { clock, balancer } = starting('round-robin')
  const [first] = balancer.targets
  assert.ok(first)
  exchange(balancer, (target) => target === first)
  clock.time += 10_001

  assert.equal(first.ramp, FULL_RAMP)
  for (let count = 0; count < 3; count++) exchange(balancer, () => false)

  assert.equal(first.ramp, Math.floor(FULL_RAMP / 10))
})

test('observers hear that a target has joined before they hear that it starts slowly', () => {
  const { balancer } = starting('random')
  const seen: string[] = []
  balancer.observe({ onAdd: () => seen.push('add'), onChange: (_target, change) => seen.push(change) })

  balancer.add('http://h4:1')

  assert.deepEqual(seen, ['add', 'slow-start'])
})

test('a target that was removed does not start, and is not heard of', () => {
  const { clock, balancer } = starting('least-connections')
  const [first] = balancer.targets
  assert.ok(first)
  first.set('unhealthy', true)
  balancer.remove(first.url)
  const seen: string[] = []
  balancer.observe({ onChange: (_target, change) => seen.push(change) })

  first.set('unhealthy', false)
  clock.time += WINDOW
  balancer.get()

  assert.deepEqual(seen, [])
  assert.equal(first.ramp, FULL_RAMP)
})

test('nobody starts slowly with the process, nor who drained, nor where there is no window', () => {
  const { balancer } = starting('random')
  const plain = balancerOf({ strategy: 'random', servers: SERVERS })
  const { url = '' } = balancer.targets[0] ?? {}

  balancer.drain(url)
  balancer.undrain(url)
  balancer.setWeight(url, 0)
  balancer.setWeight(url, 1)
  plain.add('http://h4:1')
  balancer.add('http://h4:1', { slowStart: false })

  for (const target of [...balancer.targets, ...plain.targets]) assert.equal(target.ramp, FULL_RAMP)
})

for (const strategy of names) {
  test(`${strategy}: targets that start slowly take everything where there is nobody else`, () => {
    const { balancer } = starting(strategy)
    for (const target of balancer.targets) target.down = true
    for (const target of balancer.targets.slice(0, 2)) target.down = false

    const picked = new Set(Array.from({ length: 300 }, (_, index) => letterOf(balancer, pick(balancer, index))))

    assert.deepEqual([...picked].sort(), ['a', 'b'])
  })
}

for (const strategy of KEYED) {
  test(`${strategy}: keys come to a target that starts slowly one by one, and stay`, async () => {
    const { clock, balancer } = starting(strategy)
    const newcomer = balancer.add('http://h4:1')
    await settled()
    const mapping = () => Array.from({ length: 500 }, (_, index) => pick(balancer, index))
    const steps = Array.from({ length: 6 }, () => {
      clock.time += WINDOW / 5
      return mapping()
    })

    for (const [step, now] of steps.slice(1).entries()) {
      for (const [index, target] of now.entries()) {
        const before = steps[step]?.[index]
        assert.ok(target === before || target === newcomer, `key ${index} moves between others`)
      }
    }
  })
}

test('a client that is known stays with its target, however slowly that starts', () => {
  const { balancer } = starting('sticky')
  const [first] = balancer.targets
  assert.ok(first)
  const token = balancer.renewToken(first, undefined)
  first.down = true
  first.down = false

  for (let count = 0; count < 20; count++)
    assert.equal(balancer.get({ key: undefined, token, tried: undefined }), first)
})

function starting(strategy: string | { name: string; compat: string }, slowStart = {}) {
  const clock = new FakeClock()
  const more = { slowStart: { window: WINDOW, ...slowStart } }
  const balancer = balancerOf({ strategy, servers: SERVERS, clock, more, random: seeded(11) })
  return { clock, balancer }
}

function shareOf(balancer: Balancer, target: Target): number {
  const picks = Array.from({ length: 4_000 }, (_, index) => pick(balancer, index))
  return picks.filter((picked) => picked === target).length / picks.length
}

function pick(balancer: Balancer, index: number): Target | undefined {
  const key = balancer.needs.key === undefined ? undefined : `10.${index >> 8}.${index & 255}.1`
  return balancer.get({ key, tried: undefined })
}
