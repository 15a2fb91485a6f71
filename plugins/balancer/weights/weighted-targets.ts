import { FULL_RAMP, type Target } from '../target.ts'
import type { PickContext, StrategyDeps } from '../types.ts'

/** Targets of which one can be drawn by lot, with a chance in proportion to its weight. */
export class WeightedTargets {
  totalWeight = 0
  readonly #targets: Target[] = []
  /** For each target, the sum of the weights up to and including its own. */
  readonly #ends: number[] = []
  /** For each of as many equal parts of the total weight as there are targets, the target that it begins with. */
  #guide: number[] = []
  readonly #deps: StrategyDeps

  constructor(deps: StrategyDeps) {
    this.#deps = deps
  }

  add(target: Target): void {
    this.totalWeight += target.weight
    this.#ends.push(this.totalWeight)
    this.#targets.push(target)
    this.#guide = []
  }

  remove(target: Target): void {
    const index = this.#targets.indexOf(target)
    this.totalWeight -= target.weight
    this.#targets.splice(index, 1)
    this.#ends.splice(index, 1)
    for (let i = index; i < this.#ends.length; i++) this.#ends[i] = (this.#ends[i] ?? 0) - target.weight
    this.#guide = []
  }

  reweigh(target: Target, previous: number): void {
    const gain = target.weight - previous
    this.totalWeight += gain
    for (let i = this.#targets.indexOf(target); i < this.#ends.length; i++) this.#ends[i] = (this.#ends[i] ?? 0) + gain
    this.#guide = []
  }

  at(index: number): Target | undefined {
    return this.#targets[index]
  }

  /** The index of the target in whose share a number below the total weight falls: a step or two from the guide. */
  find(ticket: number): number {
    const ends = this.#ends
    if (this.#guide.length !== ends.length) this.#buildGuide()
    let index = this.#guide[Math.floor((ticket * ends.length) / this.totalWeight)] ?? 0
    while ((ends[index] ?? Number.POSITIVE_INFINITY) <= ticket) index++
    return index
  }

  /** Draws an available target other than the one at `except`, and gives its index; -1 when there is none. */
  draw(context: PickContext, except = -1): number {
    const gap = this.#weightAt(except)
    let ticket = Math.floor(this.#deps.random() * (this.totalWeight - gap))
    if (gap > 0 && ticket >= (this.#ends[except] ?? 0) - gap) ticket += gap
    const index = this.find(ticket)
    const target = this.#targets[index]
    const isTaken = target?.isAvailable(context, this.#deps.now) && this.#isReady(target)
    return isTaken ? index : this.#drawAvailable(context, except)
  }

  /** In slow start, a target takes only part of what falls to it. */
  #isReady({ ramp }: Target): boolean {
    return ramp === FULL_RAMP || this.#deps.random() * FULL_RAMP < ramp
  }

  /** Reading an array at -1 is slow. */
  #weightAt(index: number): number {
    return index < 0 ? 0 : (this.#targets[index]?.weight ?? 0)
  }

  #buildGuide(): void {
    const ends = this.#ends
    let index = 0
    this.#guide = ends.map((_, part) => {
      while ((ends[index] ?? Number.POSITIVE_INFINITY) <= (part * this.totalWeight) / ends.length) index++
      return index
    })
  }

  // A second draw among the available leaves their chances in proportion: each gains its share of the rejected.
  #drawAvailable(context: PickContext, except: number): number {
    let available = 0
    for (const target of this.#targets) {
      if (target.isAvailable(context, this.#deps.now)) available += target.share
    }
    // The one at `except` is available, and counted: it has just been drawn.
    let ticket = Math.floor(this.#deps.random() * (available - (except < 0 ? 0 : (this.#targets[except]?.share ?? 0))))
    for (let index = 0; index < this.#targets.length; index++) {
      const target = this.#targets[index]
      if (index === except || !target?.isAvailable(context, this.#deps.now)) continue
      ticket -= target.share
      if (ticket < 0) return index
    }
    return -1
  }
}
