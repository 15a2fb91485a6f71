/** What active checks say of a target; `unknown` as long as none has decided. */
export type CheckState = 'unknown' | 'healthy' | 'unhealthy'

/** Turns the results of checks into a state that does not flap. */
export class Verdict {
  readonly #fall: number
  readonly #rise: number
  #state: CheckState = 'unknown'
  /** Results in a row that speak against the state. */
  #streak = 0

  /**
   * @param fall failures in a row that make a target unhealthy
   * @param rise successes in a row that make an unhealthy target healthy; for an unknown one, the first is enough
   */
  constructor(fall: number, rise: number) {
    this.#fall = fall
    this.#rise = rise
  }

  get state(): CheckState {
    return this.#state
  }

  /** The state may be about to change. */
  get isInTransition(): boolean {
    return this.#streak > 0
  }

  /** True when this changes the state. */
  add(isSuccess: boolean): boolean {
    if (isSuccess === (this.#state === 'healthy') && this.#state !== 'unknown') {
      this.#streak = 0
      return false
    }
    this.#streak++
    const needed = this.#needed(isSuccess)
    if (this.#streak < needed) return false
    this.#state = isSuccess ? 'healthy' : 'unhealthy'
    this.#streak = 0
    return true
  }

  #needed(isSuccess: boolean): number {
    if (!isSuccess) return this.#fall
    return this.#state === 'unknown' ? 1 : this.#rise
  }
}
