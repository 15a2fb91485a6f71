import type { Target } from '../target.ts'
import type { PickContext } from '../types.ts'
import { KeyedStrategy } from './keyed-strategy.ts'
import { RendezvousScores } from './rendezvous-scores.ts'
import type { Uint64 } from './uint64.ts'
import { Xxh64 } from './xxh64.ts'

/**
 * What strategies have in common that find the place of a key by its XXH64. Where the target there cannot be used,
 * rendezvous hashing decides among the others: only the keys of an unavailable target move, and they spread over all that
 * are left.
 */
export abstract class PlacedByHash extends KeyedStrategy {
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
    const hash = this.#xxh64.hash(key)
    const target = this.place(hash)
    if (target?.isAvailable(context, this.now)) return target
    return this.placeAgain(hash, context) ?? this.#scores.get(hash, context)
  }

  /** The target of a hash, whatever its state. */
  protected abstract place(hash: Uint64): Target | undefined

  /** Where the strategy has other places for the hash: the first available target there. */
  protected placeAgain(_hash: Uint64, _context: PickContext): Target | undefined {
    return undefined
  }
}
