import type { Target } from './target.ts'
import type { Outcome } from './types.ts'

/**
 * What keeps a target from being picked, apart from its limits and its latest failures. `down`: taken out by whoever runs
 * it. `unhealthy`: found so by active checks. `ejected`: an outlier among its peers. `open`: its circuit breaker is.
 */
export type Obstacle = 'down' | 'unhealthy' | 'ejected' | 'open'

/** What has changed about a target. */
export type TargetChange = Obstacle | 'draining' | 'weight'

/** Told what happens to the targets of a balancer. Nothing here may throw. */
export interface BalancerObserver {
  onAdd?(target: Target): void
  onRemove?(target: Target): void
  /** Something about the target is other than before. */
  onChange?(target: Target, change: TargetChange): void
  /** An attempt ended. Of a removed target there is no more news. */
  onOutcome?(target: Target, outcome: Outcome): void
}
