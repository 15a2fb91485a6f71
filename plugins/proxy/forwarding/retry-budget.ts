const FLOOR_PER_SECOND = 10
/** Seconds of the floor that may be saved up for a burst. */
const BURST = 10

/**
 * Bounds how much traffic retries may add to an upstream: a share of its requests, and always 10 a second, so that a few
 * requests can be tried again too. Tokens come with requests and with time; a retry takes one.
 *
 * @see https://gateway-api.sigs.k8s.io/geps/gep-3388/
 * @see https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/service/RetryBudget.scala
 */
export class RetryBudget {
  private readonly share: number
  private readonly now: () => number
  private tokens = FLOOR_PER_SECOND
  private filledAt: number

  /** @param share retries per request, from 0 to 1 */
  constructor(share: number, now: () => number) {
    this.share = share
    this.now = now
    this.filledAt = now()
  }

  /** A request came. */
  deposit(): void {
    this.add(this.share)
  }

  /** Whether one more retry is within the budget; it is counted then. */
  take(): boolean {
    const now = this.now()
    this.add(((now - this.filledAt) / 1000) * FLOOR_PER_SECOND)
    this.filledAt = now
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }

  private add(tokens: number): void {
    this.tokens = Math.min(this.tokens + tokens, FLOOR_PER_SECOND * BURST)
  }
}
