import { buildMaglevTable } from '../hashing/maglev-table.ts'
import { PlacedByHash } from '../hashing/placed-by-hash.ts'
import { Uint64 } from '../hashing/uint64.ts'
import { checkOptionNames } from '../options.ts'
import type { Target } from '../target.ts'
import { hostOf } from '../target-url.ts'
import type { PickContext, StrategyFactory } from '../types.ts'

const SIZE = 65_537
/** Further hashes of a key that are tried where its target cannot be used. */
const ATTEMPTS = 3

/**
 * Sends equal keys to the same target, by a table of 65537 places that all targets share evenly. Agrees with Envoy's
 * MAGLEV on every key. The table is built at the first pick after a change of the list, never for a change of health.
 */
export const maglev: StrategyFactory = {
  name: 'maglev',
  create(options, { now }) {
    checkOptionNames('maglev', options, [])
    return new Maglev(now)
  }
}

class Maglev extends PlacedByHash {
  readonly #targets: Target[] = []
  #table: Int32Array | undefined = undefined
  readonly #other = new Uint64()
  #stale = false

  override add(target: Target): void {
    super.add(target)
    this.#targets.push(target)
    this.#stale = true
  }

  override remove(target: Target): void {
    super.remove(target)
    this.#targets.splice(this.#targets.indexOf(target), 1)
    this.#stale = true
  }

  override reweigh(target: Target, previous: number): void {
    super.reweigh(target, previous)
    this.#stale = true
  }

  protected override place(hash: Uint64): Target | undefined {
    if (this.#stale) {
      this.#table = buildMaglevTable(
        this.#targets.map((target) => ({ name: hostOf(target), weight: target.weight })),
        SIZE
      )
      this.#stale = false
    }
    return this.#targets[this.#table?.[hash.modulo(SIZE)] ?? -1]
  }

  /** As Envoy's retries do, which turn nearly all bits of the hash. */
  protected override placeAgain(hash: Uint64, context: PickContext): Target | undefined {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const target = this.place(this.#other.set(~hash.high, hash.low ^ -attempt))
      if (target?.isAvailable(context, this.now)) return target
    }
    return undefined
  }
}
