import type { Target } from './target.ts'
import type { Outcome } from './types.ts'

/**
 * What keeps a target from being picked, apart from its limits and its latest failures. `down`: taken out by whoever runs
 * it. `unhealthy`: found so by active checks. `ejected`: an outlier among its peers. `open`: its circuit breaker is.
 * `pending`: has yet to be found healthy, where that is required.
 */
export type Obstacle = 'down' | 'unhealthy' | 'ejected' | 'open' | 'pending'

/** What has changed about a target. */
export type TargetChange = Obstacle | 'draining' | 'weight' | 'slow-start'

/** The targets of one priority, or the backups, as a whole. */
export interface LevelState {
  readonly priority: number
  readonly backup: boolean
  /** Targets that could be used if they were healthy: neither down nor draining, and of some weight. */
  readonly inService: number
  /** Of these, those without any obstacle. */
  readonly fit: number
  /** Percent of all traffic that the level can take, with one target of seven and a bit to spare. */
  readonly health: number
  /** Percent of all traffic that goes here; 0 for backups, which get what nobody else can take. */
  readonly load: number
  /** So few are fit that unhealthy and ejected targets are picked as well. */
  readonly panic: boolean
}

/** Told what happens to the targets of a balancer. Nothing here may throw. */
export interface BalancerObserver {
  /** `onOutcome` is to be told how long attempts took. */
  readonly latency?: boolean
  /** A target is about to join, and can be given obstacles before anybody may pick it. */
  onJoin?(target: Target): void
  onAdd?(target: Target): void
  onRemove?(target: Target): void
  /** Something about the target is other than before. Of a removed target there is no more news. */
  onChange?(target: Target, change: TargetChange): void
  /** A level has begun to panic, or is past it. */
  onPanic?(level: LevelState): void
  /**
   * An attempt ended. Of a removed target there is no more news.
   * @param milliseconds as for `Strategy.observe`; undefined where nobody measured
   */
  onOutcome?(target: Target, outcome: Outcome, milliseconds: number | undefined): void
}

/** Decides whether an upstream takes requests for now. */
export interface Gate {
  /** Whether one more request may pass. */
  admit(): boolean
  /** Milliseconds after which it is worth while to ask again; 0 = at once. */
  readonly retryAfter: number
}
