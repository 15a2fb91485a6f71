import { KeyedStrategy } from '../hashing/keyed-strategy.ts'
import { RendezvousScores } from '../hashing/rendezvous-scores.ts'
import { Xxh64 } from '../hashing/xxh64.ts'
import { checkOptionNames } from '../options.ts'
import type { Target } from '../target.ts'
import type { PickContext, StrategyFactory } from '../types.ts'

/**
 * Sends equal keys to the same target, to the one that scores highest for the key. Needs no table, and moves the least
 * number of keys for any change of the list, of weights or of health.
 */
export const rendezvous: StrategyFactory = {
  name: 'rendezvous',
  create(options, { now }) {
    checkOptionNames('rendezvous', options, [])
    return new Rendezvous(now)
  }
}

class Rendezvous extends KeyedStrategy {
  readonly #xxh64 = new Xxh64()
  readonly #scores = new RendezvousScores(this.now)

  override add(target: Target): void {
    super.add(target)
    this.#scores.add(target)
  }

  override remove(target: Target): void {
    super.remove(target)
    this.#scores.remove(target)
  }

  override reweigh(target: Target, previous: number): void {
    super.reweigh(target, previous)
    this.#scores.reweigh()
  }

  protected override getByKey(key: string, context: PickContext): Target | undefined {
    return this.#scores.get(this.#xxh64.hash(key), context)
  }
}
