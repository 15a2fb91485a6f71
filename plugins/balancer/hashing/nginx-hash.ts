import type { Target } from '../target.ts'
import type { PickContext, StrategyDeps, StrategyNeeds } from '../types.ts'
import { WeightedTargets } from '../weights/weighted-targets.ts'
import { KeyedStrategy } from './keyed-strategy.ts'

/** Hashes that meet a target that cannot be used before nginx gives up, and takes the targets in turn. */
const MAX_MISSES = 20

/** A key, and the sequence of hashes that nginx makes of it. */
export interface HashSequence {
  /** Begins with a key; false when it is not one that can be hashed. */
  start(key: string): boolean
  /** The next hash of the sequence. */
  next(): number
}

/**
 * What nginx's `hash` and `ip_hash` have in common: a hash, modulo the sum of all weights, is a place in the list. Where
 * the target at that place cannot be used, another hash is made.
 */
export class NginxHash extends KeyedStrategy {
  override readonly needs: StrategyNeeds
  readonly #hashes: HashSequence
  readonly #places: WeightedTargets

  constructor(hashes: HashSequence, key: true | 'ip', deps: StrategyDeps) {
    super(deps.now)
    this.needs = { key }
    this.#hashes = hashes
    this.#places = new WeightedTargets(deps)
  }

  override add(target: Target): void {
    super.add(target)
    this.#places.add(target)
  }

  override remove(target: Target): void {
    super.remove(target)
    this.#places.remove(target)
  }

  override reweigh(target: Target, previous: number): void {
    super.reweigh(target, previous)
    this.#places.reweigh(target, previous)
  }

  protected override getByKey(key: string, context: PickContext): Target | undefined {
    const { tried } = context
    const total = this.#places.totalWeight
    if (total === 0 || !this.#hashes.start(key)) return this.turns.get(context)

    // nginx goes on where it stood. Who begins again meets what was tried once more, and that is no miss.
    const expected = tried === undefined ? undefined : new Set(tried)
    for (let misses = 0; misses <= MAX_MISSES; ) {
      const target = this.#places.at(this.#places.find(this.#hashes.next() % total))
      if (target?.isAvailable(context, this.now)) return target
      if (target === undefined || expected?.delete(target) !== true) misses++
    }
    return this.turns.get(context)
  }
}
