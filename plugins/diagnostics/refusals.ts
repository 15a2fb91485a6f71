/** A request that was refused, as the log tells it. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly path: string
  /** How many since the last one were not told. */
  readonly untold: number
}

const INTERVAL = 1_000

/** Tells of refused requests, of one in a second: whoever is on this machine can send any number of them. */
export class Refusals {
  readonly #tell: (refusal: Refusal) => void
  readonly #now: () => number
  #next = Number.NEGATIVE_INFINITY
  #untold = 0

  constructor(tell: (refusal: Refusal) => void, now: () => number = () => performance.now()) {
    this.#tell = tell
    this.#now = now
  }

  add(refusal: Omit<Refusal, 'untold'>): void {
    const now = this.#now()
    if (now < this.#next) {
      this.#untold++
      return
    }
    this.#next = now + INTERVAL
    this.#tell({ ...refusal, untold: this.#untold })
    this.#untold = 0
  }
}
