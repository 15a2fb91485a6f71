import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Balancer, createBalancers, type PickContext, type Target } from '../plugins/balancer/index.ts'
import { FakeClock, seeded } from './balancer-helper.ts'

const SEEDS = 5
const STEPS = 150
const KEYED = ['consistent-hash', 'bounded-consistent-hash', 'maglev', 'rendezvous', 'jump-hash', 'hash', 'ip-hash']
/** Strategies that share by weight alone while all targets are idle. */
const BY_WEIGHT = ['random', 'smooth-weighted-round-robin', 'round-robin']

/** An upstream to which anything may happen, and what a user of it knows. */
class Model {
  readonly balancer: Balancer
  readonly clock = new FakeClock()
  readonly #random: () => number
  readonly #open: Target[] = []
  #names = 0

  constructor(strategy: string, seed: number) {
    this.#random = seeded(seed * 7_919)
    const deps = { now: this.clock.now, random: seeded(seed) }
    const upstreams = { test: { strategy, targets: ['http://first:1', 'http://second:1'], panicThreshold: 0 } }
    this.balancer = createBalancers({ upstreams, ...deps }).get('test')
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  context(tried?: readonly Target[]): PickContext {
    return { key: this.below(8) === 0 ? undefined : `10.${this.below(9)}.${this.below(250)}.1`, tried }
  }

  /** One thing that happens to the targets. */
  step(): void {
    const { targets } = this.balancer
    const target = targets[this.below(targets.length)]
    const kind = this.below(12)
    if (kind < 2) this.#add()
    else if (target === undefined) return
    else if (kind === 2) this.balancer.remove(target.url)
    else if (kind === 3) this.balancer.setWeight(target.url, [0, 1, 2, 5, 20][this.below(5)] ?? 1)
    else if (kind === 4) this.balancer.setDown(target.url, !target.down)
    else if (kind === 5) this.balancer[target.draining ? 'undrain' : 'drain'](target.url)
    else if (kind === 6) target.set('ejected', !target.has('ejected'))
    else if (kind === 7) this.clock.time += this.below(15_000)
    else this.#end(this.below(3) === 0 ? 'failure' : 'success')
  }

  /** An exchange of up to three attempts, which may stay in flight; nothing that cannot be used is chosen. */
  exchange(): void {
    const tried: Target[] = []
    for (let attempt = 0; attempt < 3; attempt++) {
      const context = this.context([...tried])
      const usable = this.balancer.targets.filter((target) => this.#isUsable(target, context))
      const target = this.balancer.get(context)
      if (target === undefined) {
        assert.deepEqual(
          usable.map(({ url }) => url),
          [],
          'none was chosen'
        )
        return
      }
      assert.ok(usable.includes(target), `${target.url} cannot be used`)
      tried.push(target)
      this.balancer.acquire(target)
      this.#open.push(target)
    }
  }

  /** All attempts end, and the accounts are empty. */
  finish(): void {
    while (this.#open.length > 0) this.#end('neutral')
    for (const { inFlight } of this.balancer.targets) assert.equal(inFlight, 0)
  }

  #add(): void {
    this.#names++
    const maxConnections = this.below(3)
    this.balancer.add({
      url: `http://h${this.#names}:1`,
      weight: this.below(6),
      maxConnections,
      maxFails: this.below(3)
    })
  }

  #end(outcome: 'success' | 'failure' | 'neutral'): void {
    const [target] = this.#open.splice(this.below(this.#open.length), 1)
    if (target !== undefined) this.balancer.release(target, outcome, this.below(50))
  }

  #isUsable(target: Target, context: PickContext): boolean {
    if (target.down || target.draining || target.has('ejected') || target.weight === 0) return false
    if (target.maxConnections > 0 && target.inFlight >= target.maxConnections) return false
    if (context.tried?.includes(target) === true) return false
    const isOut = target.maxFails > 0 && target.fails >= target.maxFails
    return !isOut || this.balancer.targets.length === 1 || this.clock.time - target.checked > target.failTimeout
  }
}

const { names } = createBalancers().strategies

for (const strategy of names) {
  test(`${strategy}: a target is chosen if any can be used, and only such a one, whatever happens to the list`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const model = new Model(strategy, seed)
      for (let step = 0; step < STEPS; step++) {
        model.step()
        model.exchange()
      }
      model.finish()
    }
  })

  test(`${strategy}: weights that are no whole numbers from 0 to 65535 are refused, and change nothing`, () => {
    const { balancer } = new Model(strategy, 1)
    for (const weight of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 65_536]) {
      assert.throws(() => balancer.setWeight('http://first:1', weight), { code: 'FST_GATEWAY_INVALID_TARGET' })
      assert.throws(() => balancer.add({ url: 'http://third:1', weight }), { code: 'FST_GATEWAY_INVALID_TARGET' })
    }

    assert.deepEqual(
      balancer.targets.map(({ url, weight }) => [url, weight]),
      [
        ['http://first:1', 1],
        ['http://second:1', 1]
      ]
    )
  })
}

for (const strategy of KEYED) {
  test(`${strategy}: equal keys have equal targets, whatever happened to the list before`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const model = new Model(strategy, seed)
      for (let step = 0; step < 40; step++) model.step()
      model.finish()
      for (let call = 0; call < 50; call++) {
        const context = { key: `10.1.${model.below(250)}.1`, tried: undefined }
        const first = model.balancer.get(context)
        assert.equal(model.balancer.get(context), first)
      }
    }
  })
}

for (const strategy of BY_WEIGHT) {
  test(`${strategy}: shares are in proportion to weights that were changed at run time`, () => {
    const weights = strategy === 'round-robin' ? [1, 1, 1, 0] : [7, 1, 4, 0]
    const { balancer } = new Model(strategy, 3)
    balancer.add('http://third:1')
    balancer.add('http://fourth:1')
    for (const [index, weight] of weights.entries()) balancer.setWeight(balancer.targets[index]?.url ?? '', weight)
    const counts = new Map<Target | undefined, number>()
    const total = weights.reduce((sum, weight) => sum + weight, 0)

    for (let call = 0; call < 12_000; call++) {
      const target = balancer.get()
      counts.set(target, (counts.get(target) ?? 0) + 1)
    }

    for (const [index, weight] of weights.entries()) {
      const expected = (12_000 * weight) / total
      const actual = counts.get(balancer.targets[index]) ?? 0
      // Four standard deviations of independent draws.
      assert.ok(Math.abs(actual - expected) <= 4 * Math.sqrt(12_000 / 4), `${actual} instead of ${expected}`)
    }
  })
}
