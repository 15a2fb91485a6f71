import type { Outcome } from '../types.ts'
import { ERROR_TIME } from './error-time.ts'

/** Share of the latest sample in the average. */
const SMOOTHING = 0.1
/** After this many milliseconds without a sample the average of an idle target is halved: it gets another chance. */
const HALVING = 5_000

/** The average response time of a target, of which some is forgotten with each sample. */
export class SmoothedAverage {
  /** Milliseconds; 0 while nothing is known. */
  #average = 0
  /** When it was last changed. */
  #changed: number

  constructor(now: number) {
    this.#changed = now
  }

  observe(outcome: Outcome, milliseconds: number | undefined, now: number): void {
    const isError = outcome === 'error' || outcome === 'failure'
    const sample = isError ? Math.max(milliseconds ?? 0, ERROR_TIME) : milliseconds
    if (sample === undefined) return
    // Who was not waited for to the end would have taken longer: that says something only if it was long already.
    if (outcome === 'neutral' && sample <= (this.#average === 0 ? ERROR_TIME : this.#average)) return
    this.#average = this.#average === 0 ? sample : this.#average + SMOOTHING * (sample - this.#average)
    this.#changed = now
  }

  /** What to expect of a target with so many attempts in flight: a target of which nothing is known is worth one attempt. */
  expect(inFlight: number, now: number): number {
    // With attempts in flight, no sample is no sign of idleness but of a target that does not answer.
    if (inFlight > 0) return this.#average === 0 ? ERROR_TIME : this.#average
    const halvings = Math.floor((now - this.#changed) / HALVING)
    if (halvings > 0) {
      this.#average *= 0.5 ** halvings
      this.#changed += halvings * HALVING
    }
    return this.#average
  }
}
