import { ERROR_TIME } from './error-time.ts'

/** Share of an error in the average. */
const ERROR_SHARE = 0.1

/**
 * A moving average of the response time that fears the worst: a slower sample replaces it at once, faster ones work with
 * time, and so does the lack of samples.
 *
 * @see https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/PeakEwma.scala
 */
export class PeakAverage {
  /** Milliseconds; 0 before the first sample. */
  #average = 0
  #changed: number
  readonly #decay: number

  /** @param decay milliseconds after which about a third is left of what was observed */
  constructor(decay: number, now: number) {
    this.#decay = decay
    this.#changed = now
  }

  observe(sample: number, now: number): void {
    const share = Math.exp(-Math.max(0, now - this.#changed) / this.#decay)
    this.#average = sample > this.#average ? sample : sample * (1 - share) + this.#average * share
    this.#changed = now
  }

  /**
   * An error counts as `ERROR_TIME` at least, but not as a peak: a target that fails once in a while keeps its place, and one
   * that goes on failing, however fast, loses it. Finagle leaves that to its failure accrual.
   */
  observeError(sample: number, now: number): void {
    this.observe(sample, now)
    this.#average += ERROR_SHARE * Math.max(0, Math.max(sample, ERROR_TIME) - this.#average)
  }

  /** The average as it is by now. */
  read(now: number): number {
    this.observe(0, now)
    return this.#average
  }
}
