import { FULL_RAMP, type Target } from './target.ts'

/** How targets that join or return take up their work. */
export interface SlowStartOptions {
  /** Milliseconds until a target has its whole weight; 0 = from the beginning. @default 0 */
  readonly window?: number | undefined
  /** 1 = the weight grows evenly; more = sooner; less = later. More than 0. @default 1 */
  readonly aggression?: number | undefined
  /** The share of its weight that a target has at least. @default 0.1 */
  readonly minWeight?: number | undefined
}

interface Ramp {
  readonly target: Target
  readonly since: number
  readonly window: number
}

/**
 * Slow start: a target has `max(minWeight, (age / window) ^ (1 / aggression))` of its weight, in steps of 1/256, which are
 * taken when a target is about to be chosen: there are no timers, and tables are left as they are.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start
 */
export class SlowStart {
  readonly #window: number
  readonly #aggression: number
  readonly #minWeight: number
  readonly #now: () => number
  readonly #onStep: (target: Target) => void
  #ramps: readonly Ramp[] = []

  /** @param onStep told of each target that has more of its weight than before, or less */
  constructor(options: SlowStartOptions, now: () => number, onStep: (target: Target) => void) {
    this.#window = options.window ?? 0
    this.#aggression = options.aggression ?? 1
    this.#minWeight = options.minWeight ?? 0.1
    this.#now = now
    this.#onStep = onStep
  }

  /** Whether any target has less than its weight. */
  get isUnderWay(): boolean {
    return this.#ramps.length > 0
  }

  /** @param window milliseconds; those of the options, unless told otherwise */
  begin(target: Target, window = this.#window): void {
    if (window === 0) return
    this.#ramps = [...this.#others(target), { target, since: this.#now(), window }]
    if (this.#step(target, 0, window)) target.group.report(target, 'slow-start')
  }

  /** The target cannot be used any more, and will have its whole weight unless it begins again. */
  end(target: Target): void {
    this.#ramps = this.#others(target)
    if (this.#step(target, this.#window, this.#window)) target.group.report(target, 'slow-start')
  }

  /** Gives each target what is due to it by now. */
  advance(): void {
    const now = this.#now()
    const over = this.#ramps.filter(({ since, window }) => now - since >= window)
    for (const { target, since, window } of this.#ramps) this.#step(target, now - since, window)
    if (over.length === 0) return
    this.#ramps = this.#ramps.filter((ramp) => !over.includes(ramp))
    for (const { target } of over) target.group.report(target, 'slow-start')
  }

  #others(target: Target): Ramp[] {
    return this.#ramps.filter((ramp) => ramp.target !== target)
  }

  /** False when the target has its part already. */
  #step(target: Target, age: number, window: number): boolean {
    const ramp = this.#rampAt(age, window)
    if (ramp === target.ramp) return false
    target.ramp = ramp
    this.#onStep(target)
    return true
  }

  #rampAt(age: number, window: number): number {
    if (age >= window) return FULL_RAMP
    // As in Envoy, where the first millisecond counts as over.
    const grown = (Math.max(1, age) / window) ** (1 / this.#aggression)
    return Math.max(1, Math.floor(Math.max(this.#minWeight, grown) * FULL_RAMP))
  }
}
