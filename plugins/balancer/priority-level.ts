import type { LevelState } from './observer.ts'
import { healthOf } from './priority-load.ts'
import type { Target } from './target.ts'
import type { TargetGroup } from './target-group.ts'
import type { PickContext, Strategy } from './types.ts'

/** Targets that one strategy chooses among: those of one priority, or the backups. */
export class Level implements LevelState {
  readonly priority: number
  readonly backup: boolean
  readonly strategy: Strategy
  readonly group: TargetGroup
  readonly targets = new Set<Target>()
  load = 0
  health = 0
  /** Targets with a weight, whatever their state, but for those that have yet to be found healthy. */
  size = 0
  /** Of these, those that whoever runs them has neither taken down nor drains. */
  inService = 0
  fit = 0
  /** When a target that has failed may be tried again, which is a change that nobody reports. */
  staleAt = Number.POSITIVE_INFINITY
  /** What observers were told last. */
  isKnownToPanic = false

  constructor(priority: number, backup: boolean, strategy: Strategy, group: TargetGroup) {
    this.priority = priority
    this.backup = backup
    this.strategy = strategy
    this.group = group
  }

  get panic(): boolean {
    return this.group.panic
  }

  get(context: PickContext, isSlow: boolean): Target | undefined {
    const target = this.strategy.get(context)
    if (target !== undefined || !isSlow) return target
    // A key that none of the others can take is not turned away by those that start slowly.
    this.group.ignoresRamps = true
    const other = this.strategy.get(context)
    this.group.ignoresRamps = false
    return other
  }

  count(now: () => number): void {
    let healthy = 0
    this.staleAt = Number.POSITIVE_INFINITY
    this.size = 0
    this.inService = 0
    this.fit = 0
    for (const target of this.targets) {
      // As in Envoy, which leaves those out that wait for their first check.
      if (target.weight === 0 || target.has('pending')) continue
      this.size++
      if (target.down || target.draining) continue
      this.inService++
      if (target.isObstructed) continue
      this.fit++
      if (target.hasFailed(now)) this.staleAt = Math.min(this.staleAt, target.checked + target.failTimeout)
      else healthy++
    }
    this.health = healthOf(healthy, this.size)
  }
}
