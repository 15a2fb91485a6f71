/** Whether the other end of a session is there: it is; it may not be; it is not. */
export type Verdict = 'alive' | 'doubtful' | 'dead'

/** Silence in answer to a request for this many milliseconds leads to a PING. */
const SILENCE_LIMIT = 2_000
/** Servers of gRPC take more than a PING in five minutes for an attack. */
const PING_INTERVAL = 300_000
/** A PING unanswered for this many milliseconds is reason for doubt. */
const DOUBT_LIMIT = 3_000
/** And after this many nothing is there, or it is busy beyond use. */
const PING_LIMIT = 20_000
/** An attempt that was given up after this many milliseconds without a byte on the session is reason for doubt, too. */
const SUSPICION_LIMIT = 1_000

/** What a pulse is felt on. */
export interface PulseSource {
  /** Bytes received so far. */
  readonly bytesRead: number
  /** Sends a PING, and calls back when it is answered. */
  ping(onAnswer: () => void): void
}

/**
 * Tells by silence whether a connection leads to anybody still. Where packets vanish without a word, it would otherwise
 * stand for minutes, and take one request after the other.
 */
export class Pulse {
  private readonly source: PulseSource
  private readonly now: () => number
  /** Bytes that had been received when it was last looked at, and since when there were no others. */
  private heard = 0
  private heardAt = 0
  private pingedAt = Number.NEGATIVE_INFINITY
  private unanswered = false

  constructor(source: PulseSource, now: () => number) {
    this.source = source
    this.now = now
  }

  /** Something is sent to which an answer is expected. */
  expect(first: boolean): void {
    if (first || this.heard !== this.source.bytesRead) this.hear()
  }

  /** Whether there was silence for so long that an attempt that is given up was probably sent to nobody. */
  get suspicious(): boolean {
    return this.heard === this.source.bytesRead && this.now() - this.heardAt >= SUSPICION_LIMIT
  }

  /** To be called about once a second while an answer is expected. */
  check(): Verdict {
    const now = this.now()
    if (this.heard !== this.source.bytesRead) {
      this.hear()
      return 'alive'
    }
    if (this.unanswered) {
      if (now - this.pingedAt >= PING_LIMIT) return 'dead'
      return now - this.pingedAt >= DOUBT_LIMIT ? 'doubtful' : 'alive'
    }
    if (now - this.heardAt >= SILENCE_LIMIT && now - this.pingedAt >= PING_INTERVAL) {
      this.pingedAt = now
      this.unanswered = true
      this.source.ping(() => this.hear())
    }
    return 'alive'
  }

  private hear(): void {
    this.heard = this.source.bytesRead
    this.heardAt = this.now()
    this.unanswered = false
  }
}
