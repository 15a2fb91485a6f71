import type { RetryCondition, UpstreamConfig } from '../../config/index.ts'
import type { UpstreamRuntime } from './types.ts'

/** What stands in for an upstream. */
export class Failover {
  readonly upstream: UpstreamRuntime

  private readonly on: readonly RetryCondition[]

  constructor(upstream: UpstreamRuntime, on: readonly RetryCondition[]) {
    this.upstream = upstream
    this.on = on
  }

  /** Whether a request whose attempts ended so goes on there. */
  covers(condition: RetryCondition | undefined): boolean {
    return condition !== undefined && this.on.includes(condition)
  }
}

/** Lets upstreams know those that stand in for them, once all are there. */
export function linkFailovers(
  upstreams: ReadonlyMap<string, UpstreamRuntime>,
  config: Readonly<Record<string, UpstreamConfig>>
): void {
  for (const [name, runtime] of upstreams) {
    const failover = config[name]?.failover
    const other = failover === undefined ? undefined : upstreams.get(failover.upstream)
    if (failover !== undefined && other !== undefined) runtime.failover = new Failover(other, failover.on)
  }
}
