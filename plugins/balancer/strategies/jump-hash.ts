import { jumpBucket } from '../hashing/jump-bucket.ts'
import { PlacedByHash } from '../hashing/placed-by-hash.ts'
import { Uint64 } from '../hashing/uint64.ts'
import { checkOptionNames } from '../options.ts'
import type { Target } from '../target.ts'
import type { StrategyDeps, StrategyFactory } from '../types.ts'
import { WeightedTargets } from '../weights/weighted-targets.ts'

/**
 * Sends equal keys to the same target by the jump hash of their XXH64: no table, perfectly even, and a target added at
 * the end takes its fair share and nothing else moves. A target has as many buckets as it has weight.
 */
export const jumpHash: StrategyFactory = {
  name: 'jump-hash',
  create(options, deps) {
    checkOptionNames('jump-hash', options, [])
    return new JumpHash(deps)
  }
}

class JumpHash extends PlacedByHash {
  readonly #buckets: WeightedTargets
  readonly #state = new Uint64()

  constructor(deps: StrategyDeps) {
    super(deps.now)
    this.#buckets = new WeightedTargets(deps)
  }

  override add(target: Target): void {
    super.add(target)
    this.#buckets.add(target)
  }

  override remove(target: Target): void {
    super.remove(target)
    this.#buckets.remove(target)
  }

  override reweigh(target: Target, previous: number): void {
    super.reweigh(target, previous)
    this.#buckets.reweigh(target, previous)
  }

  protected override place(hash: Uint64): Target | undefined {
    const bucket = jumpBucket(this.#state.copy(hash), this.#buckets.totalWeight)
    return this.#buckets.at(this.#buckets.find(bucket))
  }
}
