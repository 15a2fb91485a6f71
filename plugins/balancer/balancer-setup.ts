import type { SlowStartOptions } from './slow-start.ts'
import type { TargetOptions } from './target.ts'
import type { Strategy } from './types.ts'

/** What a balancer is made of. */
export interface BalancerSetup {
  /** Makes an instance of the upstream's strategy; called once for each priority, and once for the backups. */
  createStrategy(): Strategy
  targets: readonly (string | TargetOptions)[]
  /** A monotonic clock, in milliseconds. */
  now(): number
  /** A number from 0 up to, not including, 1. */
  random(): number
  /** How targets take up their work that join at run time, or return. @default at once */
  slowStart?: SlowStartOptions | undefined
  /** Share of fit targets below which unhealthy and ejected ones are picked as well; 0 = never. @default 0.5 */
  panicThreshold?: number | undefined
  /** Most attempts in flight at once at all targets together; 0 means any number. @default 0 */
  maxConnections?: number | undefined
}
