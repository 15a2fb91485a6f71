import type { Target } from './target.ts'
import type { PickContext, StrategyDeps } from './types.ts'

/** Targets of which one can be drawn by lot, with a chance in proportion to its weight. */
export class WeightedTargets {
  readonly #targets: Target[] = []
  /** For each target, the sum of the weights up to and including its own. */
  readonly #ends: number[] = []
  readonly #deps: StrategyDeps

  constructor(deps: StrategyDeps) {
    this.#deps = deps
  }

  get totalWeight(): number {
    return this.#ends.at(-1) ?? 0
  }

  add(target: Target): void {
    this.#ends.push(this.totalWeight + target.weight)
    this.#targets.push(target)
  }

  remove(target: Target): void {
    const index = this.#targets.indexOf(target)
    this.#targets.splice(index, 1)
    this.#ends.splice(index, 1)
    for (let i = index; i < this.#ends.length; i++) this.#ends[i] = (this.#ends[i] ?? 0) - target.weight
  }

  at(index: number): Target | undefined {
    return this.#targets[index]
  }

  /** The index of the target in whose share a number below the total weight falls. */
  find(ticket: number): number {
    let low = 0
    let high = this.#ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ends[middle] ?? 0) <= ticket) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Draws an available target other than the one at `except`, and gives its index; -1 when there is none. */
  draw(context: PickContext, except = -1): number {
    const gap = this.#targets[except]?.weight ?? 0
    let ticket = Math.floor(this.#deps.random() * (this.totalWeight - gap))
    if (except >= 0 && ticket >= (this.#ends[except] ?? 0) - gap) ticket += gap
    const index = this.find(ticket)
    return this.#targets[index]?.isAvailable(context, this.#deps.now) ? index : this.#drawAvailable(context, except)
  }

  // A second draw among the available leaves their chances in proportion: each gains its share of the rejected.
  #drawAvailable(context: PickContext, except: number): number {
    let available = 0
    for (const target of this.#targets) {
      if (target.isAvailable(context, this.#deps.now)) available += target.weight
    }
    // The one at `except` is available, and counted: it has just been drawn.
    let ticket = Math.floor(this.#deps.random() * (available - (this.#targets[except]?.weight ?? 0)))
    for (let index = 0; index < this.#targets.length; index++) {
      const target = this.#targets[index]
      if (index === except || !target?.isAvailable(context, this.#deps.now)) continue
      ticket -= target.weight
      if (ticket < 0) return index
    }
    return -1
  }
}
