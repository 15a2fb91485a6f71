import type { BalancerObserver, TargetChange } from './observer.ts'
import type { Target } from './target.ts'

/** What the targets of one group have in common, so that a strategy need not ask each of them. */
export class TargetGroup {
  /** Attempts in flight at all targets of the group together. */
  inFlight = 0
  /** Grows whenever a target may have become available or unavailable, other than by the passing of time. */
  changes = 0
  /** Told what happens to the targets; the list is that of the whole balancer. */
  readonly observers: readonly BalancerObserver[]

  constructor(observers: readonly BalancerObserver[] = []) {
    this.observers = observers
  }

  /** The state of a target has changed. */
  report(target: Target, change: TargetChange): void {
    this.changes++
    for (const observer of this.observers) observer.onChange?.(target, change)
  }
}
