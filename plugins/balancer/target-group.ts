import type { BalancerObserver, Obstacle, TargetChange } from './observer.ts'
import type { Target } from './target.ts'

/** Each obstacle is a bit, so that one comparison tells whether there is any. */
export const OBSTACLES: Readonly<Record<Obstacle, number>> = { down: 1, unhealthy: 2, ejected: 4, open: 8, pending: 16 }
const ALL = 0b11111
/** What is passed over in a panic: that somebody judges the target to be bad. What protects a target holds on. */
const JUDGEMENTS = OBSTACLES.unhealthy | OBSTACLES.ejected

/** Whoever has to know at once of changes of the targets. */
export interface GroupOwner {
  /** The last obstacle of the target is gone. */
  onReturn(target: Target): void
  /** There is an obstacle where there was none. */
  onLeave(target: Target): void
  /** The state of a target has changed; observers do not know yet. */
  assess(): void
  /** Tells observers what followed from it. */
  announce(): void
}

/** What the targets of one group have in common, so that a strategy need not ask each of them. */
export class TargetGroup {
  /** Attempts in flight at all targets of the group together. */
  inFlight = 0
  /** Grows whenever a target may have become available or unavailable, other than by the passing of time. */
  changes = 0
  /** The bits of those obstacles that keep a target of the group from being picked. */
  heeded = ALL
  /** For the time of one choice: keys go to targets in slow start as to others. */
  ignoresRamps = false
  readonly #observers: readonly BalancerObserver[]
  readonly #owner: GroupOwner | undefined

  /** @param observers told what happens to the targets; the list is that of the whole balancer */
  constructor(observers: readonly BalancerObserver[] = [], owner?: GroupOwner) {
    this.#observers = observers
    this.#owner = owner
  }

  /** Too few targets are healthy: those are picked too that are unhealthy or ejected. */
  get panic(): boolean {
    return this.heeded !== ALL
  }

  set panic(panic: boolean) {
    if (this.panic === panic) return
    this.heeded = panic ? ALL & ~JUDGEMENTS : ALL
    this.changes++
  }

  /** The first obstacle of a target has come up, or its last one is gone. */
  turn(target: Target, isFree: boolean): void {
    if (target.removed) return
    if (isFree) this.#owner?.onReturn(target)
    else this.#owner?.onLeave(target)
  }

  /** The state of a target has changed. */
  report(target: Target, change: TargetChange): void {
    if (target.removed) return
    this.changes++
    this.#owner?.assess()
    for (const observer of this.#observers) observer.onChange?.(target, change)
    this.#owner?.announce()
  }
}
