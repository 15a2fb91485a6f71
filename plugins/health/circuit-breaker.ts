import type { Outcome } from '../balancer/index.ts'
import { RollingCounts } from './rolling-counts.ts'

/** When a circuit breaker opens, and how it closes again. Shares are of the outcomes within `window`; 0 = not looked at. */
export interface BreakerOptions {
  /** Share of failures, of whatever kind, from which it opens. */
  readonly failureRate: number
  /** The same of attempts without a usable response. */
  readonly networkErrorRate: number
  /** The same of slow responses; 0 = these are failures. */
  readonly slowRate: number
  /** So many failures in a row open it; 0 = not looked at. */
  readonly consecutiveFailures: number
  /** Milliseconds. */
  readonly window: number
  /** Outcomes within `window` without which rates say nothing. */
  readonly minRequests: number
  /** How long it stays open: milliseconds. */
  readonly openFor: number
  /** The time after that in which the share of requests that it lets through grows from none to all: milliseconds. */
  readonly recovery: number
}

export type BreakerState = 'closed' | 'open' | 'recovering'

export interface BreakerDeps {
  /** A monotonic clock, in milliseconds. */
  now(): number
  random(): number
  /** @param cause of what there was too much, where it has opened; else empty */
  onChange(state: BreakerState, cause: string): void
}

/** A share of the outcomes that is too much. */
class Limit {
  readonly #share: number
  readonly #minRequests: number
  readonly #counts = new RollingCounts()

  /** @param share 0 = no share is too much */
  constructor(share: number, minRequests: number) {
    this.#share = share
    this.#minRequests = minRequests
  }

  /** Whether it is too much with this outcome, which is one of those or another. */
  add(isOne: boolean): boolean {
    if (this.#share === 0) return false
    this.#counts.add(isOne)
    return isOne && this.#counts.total >= this.#minRequests && this.#counts.failureRate >= this.#share
  }

  advance(): void {
    this.#counts.advance()
  }

  clear(): void {
    this.#counts.clear()
  }
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
  readonly #failures: Limit
  readonly #networkErrors: Limit
  readonly #slow: Limit
  #streak = 0
  /** When the present state began. */
  #since = 0

  constructor(options: BreakerOptions, deps: BreakerDeps) {
    this.#options = options
    this.#deps = deps
    const { failureRate, networkErrorRate, slowRate, minRequests } = options
    this.#failures = new Limit(failureRate, minRequests)
    this.#networkErrors = new Limit(networkErrorRate, minRequests)
    this.#slow = new Limit(slowRate, minRequests)
  }

  /** Milliseconds until it lets something through again; 0 when it does. */
  get retryAfter(): number {
    return this.state === 'open' ? Math.max(0, this.#since + this.#options.openFor - this.#deps.now()) : 0
  }

  /** Takes note of an outcome. What was under way when it opened says nothing new. */
  record(outcome: Exclude<Outcome, 'neutral'>, isSlow = false): void {
    if (this.state === 'open') return
    const { consecutiveFailures, slowRate } = this.#options
    const isFailure = outcome !== 'success' || (isSlow && slowRate === 0)
    this.#streak = isFailure ? this.#streak + 1 : 0
    const hasFailed = this.#failures.add(isFailure)
    const hasNoAnswers = this.#networkErrors.add(outcome === 'failure')
    const isTooSlow = this.#slow.add(isSlow)
    if (consecutiveFailures > 0 && this.#streak >= consecutiveFailures) this.#enter('open', 'failures in a row')
    else if (hasNoAnswers) this.#enter('open', 'network errors')
    else if (hasFailed) this.#enter('open', 'failures')
    else if (isTooSlow) this.#enter('open', 'slow responses')
  }

  /** Whether a request may pass. The clock is read only while it is not closed. */
  admit(): boolean {
    if (this.state === 'closed') return true
    this.moveOn()
    return this.#deps.random() < this.#share
  }

  /** To be called each `RollingCounts.stepOf(window)`. */
  tick(): void {
    this.moveOn()
    for (const limit of [this.#failures, this.#networkErrors, this.#slow]) limit.advance()
  }

  /** Enters the state that time alone leads to. */
  moveOn(): void {
    const { openFor, recovery } = this.#options
    if (this.state === 'open' && this.#deps.now() - this.#since >= openFor) this.#enter('recovering')
    if (this.state === 'recovering' && this.#deps.now() - this.#since >= recovery) this.#enter('closed')
  }

  /** How much of everything it lets through. */
  get #share(): number {
    if (this.state !== 'recovering') return this.state === 'open' ? 0 : 1
    return (this.#deps.now() - this.#since) / this.#options.recovery
  }

  #enter(state: BreakerState, cause = ''): void {
    this.state = state
    this.#since = this.#deps.now()
    if (state === 'open') {
      for (const limit of [this.#failures, this.#networkErrors, this.#slow]) limit.clear()
      this.#streak = 0
    }
    this.#deps.onChange(state, cause)
  }
}
