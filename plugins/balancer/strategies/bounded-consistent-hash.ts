import { HashRing } from '../hashing/hash-ring.ts'
import { checkOptionNames, readNumber } from '../options.ts'
import type { Target } from '../target.ts'
import { NO_CONTEXT, type PickContext, type StrategyFactory } from '../types.ts'

const FACTOR = 1.25

/**
 * Consistent hashing with bounded loads: as `consistent-hash`, but no target takes more than `factor` times its fair share
 * of the attempts in flight; what is above goes on round the ring.
 *
 * @see https://arxiv.org/abs/1608.01350 Mirrokni, Thorup and Zadimoghaddam
 */
export const boundedConsistentHash: StrategyFactory = {
  name: 'bounded-consistent-hash',
  create(options, { now }) {
    checkOptionNames('bounded-consistent-hash', options, ['factor'])
    return new BoundedHashRing(now, readNumber('bounded-consistent-hash', 'factor', options.factor, FACTOR, 1))
  }
}

class BoundedHashRing extends HashRing {
  readonly #factor: number
  /** Attempts in flight that a unit of share may have; infinite once all targets have turned out to be at their bound. */
  #bound = Number.POSITIVE_INFINITY
  /** Shares of the available targets together, and the number of changes as of which it holds. */
  #share = 0
  #asOf = -1

  constructor(now: () => number, factor: number) {
    super(now)
    this.#factor = factor
  }

  override add(target: Target): void {
    super.add(target)
    this.#asOf = -1
  }

  override remove(target: Target): void {
    super.remove(target)
    this.#asOf = -1
  }

  override reweigh(target: Target, previous: number): void {
    super.reweigh(target, previous)
    this.#asOf = -1
  }

  protected override getByKey(key: string, context: PickContext): Target | undefined {
    const group = this.turns.peers[0]?.target.group
    if (group === undefined) return undefined
    if (group.changes !== this.#asOf) this.#weigh(group.changes)
    this.#bound = (this.#factor * (group.inFlight + 1)) / this.#share
    const target = super.getByKey(key, context)
    if (target !== undefined) return target
    // Those that have room were tried before, or have failed while this was going on.
    this.#bound = Number.POSITIVE_INFINITY
    return super.getByKey(key, context)
  }

  protected override accepts(target: Target, context: PickContext): boolean {
    return target.inFlight < Math.ceil(this.#bound * target.share) && super.accepts(target, context)
  }

  #weigh(changes: number): void {
    this.#share = 0
    this.#asOf = changes
    for (const { target } of this.turns.peers) {
      if (target.isAvailable(NO_CONTEXT, this.now)) this.#share += target.share
      // It comes back by the passing of time, which is no change that is counted.
      if (target.hasFailed(this.now)) this.#asOf = -1
    }
  }
}
