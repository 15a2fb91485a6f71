import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Target } from '../plugins/balancer/index.ts'
import { balancerOf, FakeClock, hold, seeded, sequence } from './balancer-helper.ts'

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

/** The algorithm as nginx has it, without anything remembered between the picks. */
class Plain {
  readonly peers: { target: Target; current: number; effective: number }[] = []

  constructor(targets: readonly Target[]) {
    for (const target of targets) this.add(target)
  }

  add(target: Target): void {
    this.peers.push({ target, current: 0, effective: target.weight })
  }

  get(tried: readonly Target[], now: () => number): Target | undefined {
    let best: (typeof this.peers)[number] | undefined
    let total = 0
    for (const peer of this.peers) {
      if (!peer.target.isAvailable({ key: undefined, tried }, now)) continue
      peer.current += peer.effective
      total += peer.effective
      if (peer.effective < peer.target.weight) peer.effective++
      if (best === undefined || peer.current > best.current) best = peer
    }
    if (best !== undefined) best.current -= total
    return best?.target
  }

  fail(target: Target): void {
    for (const peer of this.peers) {
      if (peer.target !== target || target.maxFails === 0) continue
      peer.effective = Math.max(0, peer.effective - Math.trunc(target.weight / target.maxFails))
    }
  }
}

for (let seed = 1; seed <= 60; seed++) {
  test(`smooth weighted round robin: what is remembered changes no pick, whatever happens (seed ${seed})`, () => {
    const random = seeded(seed)
    const draw = (limit: number) => Math.floor(random() * limit)
    const clock = new FakeClock()
    const servers = Array.from({ length: 2 + draw(5) }, (_, index) => {
      return `h${index}:1 weight=${draw(6)} max_fails=${draw(3)} max_conns=${draw(2) * 3} fail_timeout=${1 + draw(3)}s`
    })
    const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers, clock })
    const plain = new Plain(balancer.targets)
    const held: Target[] = []

    for (let step = 0; step < 600; step++) {
      // Most of the time nothing happens, so that cycles are found and played; then something does.
      const tried = random() < 0.02 ? balancer.targets.slice(0, 1 + draw(2)) : undefined
      const expected = plain.get(tried ?? [], clock.now)
      const picked = balancer.get({ key: undefined, tried })
      assert.equal(picked, expected, `step ${step}`)
      if (picked !== undefined) {
        balancer.acquire(picked)
        const fate = random()
        if (fate < 0.02) held.push(picked)
        else balancer.release(picked, fate < 0.04 ? 'failure' : 'success')
        if (fate >= 0.02 && fate < 0.04) plain.fail(picked)
      }
      if (random() < 0.01) for (const target of held.splice(0)) balancer.release(target, 'success')
      if (random() < 0.01) clock.time += draw(4_000)
      const any = balancer.targets[draw(balancer.targets.length)]
      if (random() < 0.01 && any !== undefined) any.down = !any.down
      if (random() < 0.003) plain.add(balancer.add({ url: `http://new${step}:1`, weight: 1 + draw(4) }))
      // The last but one stays: alone, a target is used without asking the strategy.
      if (random() < 0.003 && any !== undefined && balancer.targets.length > 2) {
        balancer.remove(any.url)
        plain.peers.splice(
          plain.peers.findIndex(({ target }) => target === any),
          1
        )
      }
    }
  })
}

test('smooth weighted round robin: cycles that are too long to keep are worked out, pick by pick', () => {
  const servers = ['h1:1 weight=16384', 'h2:1 weight=65535']
  const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers })
  const plain = new Plain(balancer.targets)

  for (let step = 0; step < 1_000; step++)
    assert.equal(
      balancer.get(),
      plain.get([], () => 0)
    )
})

test('smooth weighted round robin: with equal weights, however large, a turn is a pick for each', () => {
  const servers = Array.from({ length: 300 }, (_, index) => `h${index}:1 weight=5000`)
  const balancer = balancerOf({ strategy: 'smooth-weighted-round-robin', servers })
  const turns = () => Array.from({ length: 300 }, () => balancer.get()?.url)
  const first = turns()

  assert.equal(new Set(first).size, 300)
  assert.deepEqual([turns(), turns(), turns()], [first, first, first])
})
