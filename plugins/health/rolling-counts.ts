/** A window is moved on in so many steps. */
const SLOTS = 10

/** How many of the latest outcomes were failures: counts over a window that moves on in ten steps, without a clock. */
export class RollingCounts {
  /** Outcomes within the window. */
  total = 0
  /** Failures among them. */
  failed = 0

  readonly #totals = new Uint32Array(SLOTS)
  readonly #failures = new Uint32Array(SLOTS)
  #slot = 0

  /** The step in which a window of so many milliseconds moves on. */
  static stepOf(window: number): number {
    return Math.max(1, window / SLOTS)
  }

  /** Share of the outcomes that were failures; 0 where there were none. */
  get failureRate(): number {
    return this.total === 0 ? 0 : this.failed / this.total
  }

  add(isFailure: boolean): void {
    const slot = this.#slot
    this.total++
    this.#totals[slot] = (this.#totals[slot] ?? 0) + 1
    if (!isFailure) return
    this.failed++
    this.#failures[slot] = (this.#failures[slot] ?? 0) + 1
  }

  /** Moves the window on by one step: what is a whole window old is forgotten. */
  advance(): void {
    this.#slot = (this.#slot + 1) % SLOTS
    this.total -= this.#totals[this.#slot] ?? 0
    this.failed -= this.#failures[this.#slot] ?? 0
    this.#totals[this.#slot] = 0
    this.#failures[this.#slot] = 0
  }

  clear(): void {
    this.total = 0
    this.failed = 0
    this.#totals.fill(0)
    this.#failures.fill(0)
  }
}
