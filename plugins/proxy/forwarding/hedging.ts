/** Buckets of a histogram, each 5 % wider than the one below: from 0.1 ms to over an hour. */
const GROWTH = Math.log(1.05)
const LOWEST = 0.1
const BUCKETS = 360
/** Samples before a quantile means anything. */
const MINIMUM = 20
/** After this many samples all counts are halved, so that what was long ago fades. */
const WINDOW = 2_000

/**
 * When a second attempt is worth its cost: once a request has taken longer than almost all before it.
 *
 * @see https://research.google/pubs/the-tail-at-scale/ "hedged requests"
 */
export class Hedging {
  private readonly quantile: number
  private readonly counts = new Uint32Array(BUCKETS)
  private total = 0

  /** @param quantile share of requests that are answered before a second attempt is made, from 0 to 1 */
  constructor(quantile: number) {
    this.quantile = quantile
  }

  /** Milliseconds from the beginning of an attempt to the head of its response. */
  record(latency: number): void {
    const bucket = Math.ceil(Math.log(latency / LOWEST) / GROWTH)
    const at = Math.min(Math.max(bucket, 0), BUCKETS - 1)
    this.counts[at] = (this.counts[at] ?? 0) + 1
    if (++this.total >= WINDOW) this.fade()
  }

  /** Milliseconds after which to make the second attempt; undefined while too little is known. */
  delay(): number | undefined {
    if (this.total < MINIMUM) return undefined
    let left = this.total * this.quantile
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.counts[i] ?? 0
      if (left <= 0) return LOWEST * Math.exp(i * GROWTH)
    }
    return undefined
  }

  private fade(): void {
    this.total = 0
    for (let i = 0; i < BUCKETS; i++) {
      const half = (this.counts[i] ?? 0) >> 1
      this.counts[i] = half
      this.total += half
    }
  }
}
