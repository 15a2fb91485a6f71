import { RollingCounts } from './rolling-counts.ts'

/** When a circuit breaker opens, and how it closes again. Times in milliseconds. */
export interface BreakerOptions {
  /** Share of failures within `window` from which it opens; 0 = not looked at. */
  readonly failureRate: number
  /** So many failures in a row open it; 0 = not looked at. */
  readonly consecutiveFailures: number
  readonly window: number
  /** Outcomes within `window` without which the rate says nothing. */
  readonly minRequests: number
  /** How long it stays open. */
  readonly openFor: number
  /** The time after that in which the share of requests that it lets through grows from none to all. */
  readonly recovery: number
}

export type BreakerState = 'closed' | 'open' | 'recovering'

export interface BreakerDeps {
  /** A monotonic clock, in milliseconds. */
  now(): number
  random(): number
  onChange(state: BreakerState): void
}

/**
 * A circuit breaker: opens when too much fails, and lets nothing through then; after a time it recovers, and the share of
 * what it lets through grows evenly. Too many failures meanwhile open it again.
 *
 * @see https://doc.traefik.io/traefik/middlewares/http/circuitbreaker/
 */
export class CircuitBreaker {
  state: BreakerState = 'closed'

  readonly #options: BreakerOptions
  readonly #deps: BreakerDeps
  readonly #counts = new RollingCounts()
  #streak = 0
  /** When the present state began. */
  #since = 0

  constructor(options: BreakerOptions, deps: BreakerDeps) {
    this.#options = options
    this.#deps = deps
  }

  /** Milliseconds until it lets something through again; 0 when it does. */
  get retryAfter(): number {
    return this.state === 'open' ? Math.max(0, this.#since + this.#options.openFor - this.#deps.now()) : 0
  }

  /** Takes note of an outcome. What was under way when it opened says nothing new. */
  record(isFailure: boolean): void {
    if (this.state === 'open') return
    this.#counts.add(isFailure)
    this.#streak = isFailure ? this.#streak + 1 : 0
    if (isFailure && this.#isTooMuch()) this.#enter('open')
  }

  /** Whether a request may pass. The clock is read only while it is not closed. */
  admit(): boolean {
    if (this.state === 'closed') return true
    this.#moveOn()
    return this.#deps.random() < this.#share
  }

  /** To be called each `RollingCounts.stepOf(window)`. */
  tick(): void {
    this.#moveOn()
    this.#counts.advance()
  }

  /** How much of everything it lets through. */
  get #share(): number {
    if (this.state !== 'recovering') return this.state === 'open' ? 0 : 1
    return (this.#deps.now() - this.#since) / this.#options.recovery
  }

  #moveOn(): void {
    const { openFor, recovery } = this.#options
    if (this.state === 'open' && this.#deps.now() - this.#since >= openFor) this.#enter('recovering')
    if (this.state === 'recovering' && this.#deps.now() - this.#since >= recovery) this.#enter('closed')
  }

  #isTooMuch(): boolean {
    const { consecutiveFailures, failureRate, minRequests } = this.#options
    if (consecutiveFailures > 0 && this.#streak >= consecutiveFailures) return true
    return failureRate > 0 && this.#counts.total >= minRequests && this.#counts.failureRate >= failureRate
  }

  #enter(state: BreakerState): void {
    this.state = state
    this.#since = this.#deps.now()
    if (state === 'open') {
      this.#counts.clear()
      this.#streak = 0
    }
    this.#deps.onChange(state)
  }
}
