import type { Target } from '../../balancer/index.ts'
import type { RetryCondition } from '../../config/index.ts'
import type { OutgoingRequest, UpstreamRuntime } from './types.ts'

/**
 * What an exchange does beyond its first attempt: retries at other targets, and hedges beside a slow one. Made when that
 * is first needed: an exchange that simply goes well does without.
 */
export class FurtherAttempts {
  /** Targets that are not asked again. */
  tried: readonly Target[] = []

  private upstream: UpstreamRuntime
  private request: OutgoingRequest
  private retries = 0
  private timer: NodeJS.Timeout | undefined = undefined

  constructor(upstream: UpstreamRuntime, request: OutgoingRequest) {
    this.upstream = upstream
    this.request = request
  }

  /**
   * Milliseconds to wait before a retry; undefined when none is to be made.
   *
   * @param wait milliseconds that the target asked for
   * @param left milliseconds until the exchange must be over
   */
  delayOf(failed: Target, condition: RetryCondition | undefined, wait: number, left: number): number | undefined {
    const { retry } = this.upstream
    if (this.retries >= retry.attempts || !retry.covers(condition)) return undefined
    const delay = Math.max(wait, retry.backoff(this.retries + 1))
    const inTime = delay < Number.POSITIVE_INFINITY && delay < left
    return inTime && this.hasOther(failed) ? delay : undefined
  }

  retry(failed: Target, delay: number, next: () => void): void {
    this.retries++
    this.exclude(failed)
    this.plan(delay, next)
  }

  /**
   * Plans a second attempt for when the first takes longer than nearly all others did.
   *
   * @param least milliseconds to wait in any case
   */
  planHedge(least: number, next: () => void): void {
    const { idempotent, upgrade } = this.request
    // A client that belongs to a target is not known to another.
    if (this.upstream.balancer.needs.affinity !== undefined) return
    // Two handshakes could open two sessions, of which one is cut at once.
    const delay = idempotent && upgrade === undefined ? this.upstream.hedging?.delay() : undefined
    if (delay !== undefined) this.plan(Math.max(delay, least), next)
  }

  /** The target of a second attempt beside the one at `first`; undefined when there is none to make. */
  hedgeTarget(first: Target): Target | undefined {
    const { body, key } = this.request
    const { balancer, retry } = this.upstream
    if (body !== undefined && body.copy() === undefined) return undefined
    if (!this.hasOther(first) || !retry.budget.take()) return undefined
    return balancer.get({ key, tried: [...this.tried, first] })
  }

  /** The exchange goes on at another upstream; retries made so far count there too. */
  moveTo(upstream: UpstreamRuntime, request: OutgoingRequest): void {
    this.stop()
    this.upstream = upstream
    this.request = request
  }

  exclude(target: Target): void {
    this.tried = [...this.tried, target]
  }

  /** Nothing that was planned will happen. */
  stop(): void {
    clearTimeout(this.timer)
  }

  private plan(delay: number, next: () => void): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(next, delay)
  }

  private hasOther(target: Target): boolean {
    const context = { key: this.request.key, tried: [...this.tried, target] }
    return this.upstream.balancer.targets.some((other) => other.isAvailable(context, () => performance.now()))
  }
}
