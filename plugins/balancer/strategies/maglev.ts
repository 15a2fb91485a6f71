import { MaglevTable, type Permutation, permutationOf } from '../hashing/maglev-table.ts'
import { PlacedByHash } from '../hashing/placed-by-hash.ts'
import { Uint64 } from '../hashing/uint64.ts'
import { checkOptionNames } from '../options.ts'
import type { Target } from '../target.ts'
import { hostOf } from '../target-url.ts'
import type { PickContext, StrategyFactory } from '../types.ts'

const SIZE = 65_537
/** Further hashes of a key that are tried where its target cannot be used. */
const ATTEMPTS = 3
/** Places that are looked at in one turn of the event loop while a table is built: about half a millisecond of work. */
const SLICE = 30_000

/**
 * Sends equal keys to the same target, by a table of 65537 places that all targets share evenly. Agrees with Envoy's
 * MAGLEV on every key. The table is built after a change of the list, never for a change of health: in slices, while keys still go
 * by the old one, as they do in Envoy.
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
  readonly #permutations = new Map<Target, Permutation>()
  readonly #other = new Uint64()
  /** The table in force, and the targets that its entries are. */
  #table: MaglevTable | undefined = undefined
  #owners: readonly Target[] = []
  #isStale = false
  /** The table that is being built. */
  #next: MaglevTable | undefined = undefined
  #nextOwners: readonly Target[] = []

  override add(target: Target): void {
    super.add(target)
    this.#targets.push(target)
    this.#permutations.set(target, permutationOf(hostOf(target), SIZE))
    this.#renew()
  }

  override remove(target: Target): void {
    super.remove(target)
    this.#targets.splice(this.#targets.indexOf(target), 1)
    this.#permutations.delete(target)
    this.#renew()
  }

  override reweigh(target: Target, previous: number): void {
    super.reweigh(target, previous)
    this.#renew()
  }

  protected override place(hash: Uint64): Target | undefined {
    // Before there has been any table, nothing else tells where keys belong.
    if (this.#table === undefined && this.#isStale) this.#finish()
    const target = this.#owners[this.#table?.at(hash.modulo(SIZE)) ?? -1]
    return target?.removed ? undefined : target
  }

  /** As Envoy's retries do, which turn nearly all bits of the hash. */
  protected override placeAgain(hash: Uint64, context: PickContext): Target | undefined {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const target = this.place(this.#other.set(~hash.high, hash.low ^ -attempt))
      if (target?.isAvailable(context, this.now)) return target
    }
    return undefined
  }

  /** Has another table built; what was built of one before is of no use. */
  #renew(): void {
    this.#next = undefined
    if (this.#isStale) return
    this.#isStale = true
    setImmediate(() => this.#goOn())
  }

  #goOn(): void {
    if (!this.#isStale) return
    this.#begin().build(SLICE)
    if (this.#next?.isBuilt) this.#swap()
    else setImmediate(() => this.#goOn())
  }

  #finish(): void {
    this.#begin().build()
    this.#swap()
  }

  #begin(): MaglevTable {
    if (this.#next === undefined) {
      this.#nextOwners = [...this.#targets]
      const entries = this.#nextOwners.flatMap((target) => {
        const permutation = this.#permutations.get(target)
        return permutation === undefined ? [] : [{ permutation, weight: target.weight }]
      })
      this.#next = new MaglevTable(entries, SIZE)
    }
    return this.#next
  }

  #swap(): void {
    this.#table = this.#next
    this.#owners = this.#nextOwners
    this.#next = undefined
    this.#nextOwners = []
    this.#isStale = false
  }
}
