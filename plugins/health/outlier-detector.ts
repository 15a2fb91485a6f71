import type { BalancerObserver, Outcome, Target } from '../balancer/index.ts'
import { RollingCounts } from './rolling-counts.ts'
import { outlierThreshold } from './success-rates.ts'

/** When a target is an outlier, and for how long. Times in milliseconds. */
export interface OutlierOptions {
  /** So many failures in a row; 0 = not looked at. */
  readonly consecutiveFailures: number
  /** The time over which rates are taken, and after which they are compared. */
  readonly window: number
  /** Outcomes of a target within `window` without which its rates say nothing. */
  readonly minRequests: number
  /** Share of failures from which a target is an outlier; 0 = not looked at. */
  readonly failureRate: number
  /** Standard deviations by which the success rate may be below the mean; 0 = not looked at. */
  readonly deviation: number
  readonly ejection: {
    /** How long a target is ejected for the first time; twice as long the second time, and so on. */
    readonly base: number
    /** The longest ejection; `base` where that is longer. */
    readonly max: number
    /** A random time up to this is added. */
    readonly jitter: number
    /** Share of the targets that may be ejected at once; one may be in any case. */
    readonly share: number
  }
}

export type OutlierReason = 'consecutive failures' | 'failure rate' | 'success rate'

export interface OutlierDeps {
  /** All targets of the upstream. */
  targets(): readonly Target[]
  /** Whether requests go somewhere also when no target is left: by a panic, or to another upstream. */
  readonly mayLeaveNone: boolean
  /** A monotonic clock, in milliseconds. */
  now(): number
  random(): number
  onEject(target: Target, reason: OutlierReason, milliseconds: number): void
  onReturn(target: Target, reason: string): void
}

class Suspect {
  readonly counts = new RollingCounts()
  /** Failures in a row. */
  streak = 0
  /** Ejections that still count; each lengthens the next. */
  ejections = 0
  /** When an ejected target returns; 0 while it is none. */
  ejectedUntil = 0
  /** It was ejected, or returned, within the present window. */
  blemished = false
}

/**
 * Passive health: ejects targets that fail more than the others, by what becomes of the requests they get. A client that
 * left says nothing of its target. A target returns when its time is over; a well-behaved window takes one ejection off its
 * record. What counts as a failure: no response, one that is tried again, and any other 5xx.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier
 */
export class OutlierDetector implements BalancerObserver {
  readonly #options: OutlierOptions
  readonly #deps: OutlierDeps
  readonly #suspects = new Map<Target, Suspect>()
  #ejected = 0
  #windowEnd: number

  constructor(options: OutlierOptions, deps: OutlierDeps) {
    this.#options = options
    this.#deps = deps
    this.#windowEnd = deps.now() + options.window
  }

  onRemove(target: Target): void {
    if ((this.#suspects.get(target)?.ejectedUntil ?? 0) > 0) this.#ejected--
    this.#suspects.delete(target)
  }

  onOutcome(target: Target, outcome: Outcome): void {
    if (outcome === 'neutral') return
    const suspect = this.#suspectOf(target)
    // What was under way when it was ejected is judged already.
    if (suspect.ejectedUntil > 0) return
    const isFailure = outcome !== 'success'
    suspect.counts.add(isFailure)
    if (!isFailure) {
      suspect.streak = 0
      return
    }
    suspect.streak++
    const { consecutiveFailures, failureRate, minRequests } = this.#options
    const { counts } = suspect
    if (consecutiveFailures > 0 && suspect.streak >= consecutiveFailures) {
      this.#eject(target, suspect, 'consecutive failures')
    } else if (failureRate > 0 && counts.total >= minRequests && counts.failureRate >= failureRate) {
      this.#eject(target, suspect, 'failure rate')
    }
  }

  /** To be called each `RollingCounts.stepOf(window)`: lets targets return, moves windows on, and compares rates. */
  tick(): void {
    const now = this.#deps.now()
    for (const [target, suspect] of this.#suspects) {
      if (suspect.ejectedUntil > 0 && suspect.ejectedUntil <= now) this.#readmit(target, suspect, 'its time is over')
    }
    if (now >= this.#windowEnd) {
      this.#windowEnd = now + this.#options.window
      this.#endWindow()
    }
    for (const { counts } of this.#suspects.values()) counts.advance()
  }

  /** Lets an ejected target return before its time; for who knows better. */
  readmit(target: Target, reason: string): void {
    const suspect = this.#suspects.get(target)
    if (suspect !== undefined && suspect.ejectedUntil > 0) this.#readmit(target, suspect, reason)
  }

  #endWindow(): void {
    const { deviation, minRequests } = this.#options
    const judged = [...this.#suspects].filter(
      ([, { ejectedUntil, counts }]) => ejectedUntil === 0 && counts.total >= minRequests
    )
    for (const suspect of this.#suspects.values()) {
      if (suspect.ejections > 0 && suspect.ejectedUntil === 0 && !suspect.blemished) suspect.ejections--
      suspect.blemished = false
    }
    if (deviation === 0) return
    const rates = judged.map(([, { counts }]) => 1 - counts.failureRate)
    const threshold = outlierThreshold(rates, deviation)
    if (threshold === undefined) return
    for (const [index, [target, suspect]] of judged.entries()) {
      if ((rates[index] ?? 1) < threshold) this.#eject(target, suspect, 'success rate')
    }
  }

  #eject(target: Target, suspect: Suspect, reason: OutlierReason): void {
    if (!this.#mayEject(target)) return
    const { base, max, jitter } = this.#options.ejection
    suspect.ejections++
    suspect.blemished = true
    const milliseconds = Math.min(base * suspect.ejections, Math.max(base, max)) + this.#deps.random() * jitter
    suspect.ejectedUntil = this.#deps.now() + milliseconds
    this.#ejected++
    target.set('ejected', true)
    this.#deps.onEject(target, reason, milliseconds)
  }

  /** One may be ejected in any case, another only if the share holds with it; but not the last that could be used. */
  #mayEject(target: Target): boolean {
    const { mayLeaveNone, targets } = this.#deps
    const all = targets()
    if (this.#ejected > 0 && (this.#ejected + 1) / all.length > this.#options.ejection.share) return false
    return mayLeaveNone || all.some((other) => other !== target && isUsable(other))
  }

  #readmit(target: Target, suspect: Suspect, reason: string): void {
    suspect.ejectedUntil = 0
    suspect.blemished = true
    suspect.streak = 0
    suspect.counts.clear()
    this.#ejected--
    target.set('ejected', false)
    this.#deps.onReturn(target, reason)
  }

  #suspectOf(target: Target): Suspect {
    let suspect = this.#suspects.get(target)
    if (suspect === undefined) {
      suspect = new Suspect()
      this.#suspects.set(target, suspect)
    }
    return suspect
  }
}

function isUsable({ isObstructed, draining, weight }: Target): boolean {
  return !isObstructed && !draining && weight > 0
}
