import { SmoothWeights } from './strategies/smooth-weighted-round-robin.ts'
import type { Target } from './target.ts'
import type { Outcome, PickContext, Strategy, StrategyDeps } from './types.ts'
import { WeightedTargets } from './weighted-targets.ts'

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
 * the target at that place cannot be used, another hash is made. Without a key: smooth weighted round robin.
 */
export class NginxHash implements Strategy {
  readonly needs: { readonly key: true | 'ip' }
  readonly #hashes: HashSequence
  readonly #places: WeightedTargets
  readonly #smooth: SmoothWeights
  readonly #now: () => number

  constructor(hashes: HashSequence, key: true | 'ip', deps: StrategyDeps) {
    this.needs = { key }
    this.#hashes = hashes
    this.#places = new WeightedTargets(deps)
    this.#smooth = new SmoothWeights(deps.now)
    this.#now = deps.now
  }

  add(target: Target): void {
    this.#places.add(target)
    this.#smooth.add(target)
  }

  remove(target: Target): void {
    this.#places.remove(target)
    this.#smooth.remove(target)
  }

  get(context: PickContext): Target | undefined {
    const { key, tried } = context
    const total = this.#places.totalWeight
    if (total === 0 || key === undefined || key === '' || !this.#hashes.start(key)) return this.#smooth.get(context)

    // nginx goes on where it stood. Who begins again meets what was tried once more, and that is no miss.
    const expected = tried === undefined ? undefined : new Set(tried)
    for (let misses = 0; misses <= MAX_MISSES; ) {
      const target = this.#places.at(this.#places.find(this.#hashes.next() % total))
      if (target?.isAvailable(context, this.#now)) return target
      if (target === undefined || expected?.delete(target) !== true) misses++
    }
    return this.#smooth.get(context)
  }

  observe(target: Target, outcome: Outcome): void {
    this.#smooth.observe(target, outcome)
  }
}
