/** Resets that a connection may have at once. A browser that leaves a page resets all its streams. */
const BURST = 200
const PER_SECOND = 20

/**
 * Bounds how often the streams of one connection may be reset before they have their answer, whether by the client, or
 * by its making the server do it: either costs the client one frame, and the gateway a request to a target
 * (CVE-2023-44487, CVE-2025-8671). Streams that run to their end, and time, allow for more.
 */
export class ResetBudget {
  private tokens = BURST
  private filledAt: number

  constructor(now: number) {
    this.filledAt = now
  }

  /** A stream ran to its end. */
  deposit(): void {
    if (this.tokens < BURST) this.tokens++
  }

  /** A stream was reset. Says whether that is within the budget. */
  take(now: number): boolean {
    const earned = ((now - this.filledAt) / 1000) * PER_SECOND
    this.filledAt = now
    this.tokens = Math.min(this.tokens + earned, BURST) - 1
    return this.tokens >= 0
  }
}
