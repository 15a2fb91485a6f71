import { checkOptionNames } from '../options.ts'
import { FULL_RAMP, type Target } from '../target.ts'
import type { PickContext, Strategy, StrategyFactory } from '../types.ts'

/** Takes the available targets in turn, in the order of the list. Weights are ignored, save that 0 means never. */
export const roundRobin: StrategyFactory = {
  name: 'round-robin',
  create(options, { now }) {
    checkOptionNames('round-robin', options, [])
    return new RoundRobin(now)
  }
}

class RoundRobin implements Strategy {
  readonly #targets: Target[] = []
  /** What targets in slow start have saved up towards a turn, in parts of 256. */
  readonly #savings = new Map<Target, number>()
  readonly #now: () => number
  #next = 0

  constructor(now: () => number) {
    this.#now = now
  }

  add(target: Target): void {
    this.#targets.push(target)
  }

  remove(target: Target): void {
    const index = this.#targets.indexOf(target)
    this.#targets.splice(index, 1)
    this.#savings.delete(target)
    // The target whose turn it is keeps its turn.
    if (index < this.#next) this.#next--
  }

  get(context: PickContext): Target | undefined {
    let passed = -1
    for (let step = 0; step < this.#targets.length; step++) {
      const index = (this.#next + step) % this.#targets.length
      const target = this.#targets[index]
      if (!target?.isAvailable(context, this.#now)) continue
      if (target.ramp < FULL_RAMP && !this.#takesTurn(target)) {
        if (passed < 0) passed = index
        continue
      }
      this.#next = index + 1
      return target
    }
    // Nobody else is there to take the turn.
    if (passed < 0) return undefined
    this.#next = passed + 1
    return this.#targets[passed]
  }

  /** A target in slow start passes on most of its turns, and fewer of them as time goes by. */
  #takesTurn(target: Target): boolean {
    const saved = (this.#savings.get(target) ?? 0) + target.ramp
    this.#savings.set(target, saved % FULL_RAMP)
    return saved >= FULL_RAMP
  }
}
