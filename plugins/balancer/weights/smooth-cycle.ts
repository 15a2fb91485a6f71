import { NO_CONTEXT } from '../types.ts'
import type { Peer } from './smooth-weights.ts'

/** Longer cycles are not kept: they would take more memory than they are worth. */
const LONGEST = 16_384

const IDLE = 0
const RECORDING = 1
const PLAYING = 2
const TOO_LONG = 3

/**
 * The order in which smooth weighted round robin repeats itself. As long as the same targets take part with their whole
 * weights, the picks come back after as many as there is weight (divided by the common divisor of the weights). They are
 * recorded as they are worked out, and played back once all targets are owed what they were owed at the beginning. So the
 * picks are the same as without, and nothing is worked out in advance.
 */
export class SmoothCycle {
  readonly #now: () => number
  #state = IDLE
  /** What each peer gains with every pick: its weight, or 0 where it does not take part. */
  #gains: number[] = []
  #total = 0
  /** What each peer was owed before the first pick of the record. */
  #start: number[] = []
  /** Indices of the peers picked. */
  #picks: number[] = []
  #length = 0
  #next = 0
  /** The number of changes of the group as of which the record holds. */
  #asOf = 0

  constructor(now: () => number) {
    this.#now = now
  }

  get plays(): boolean {
    return this.#state === PLAYING
  }

  /** The index of the next peer; -1 when it has to be worked out. */
  play(changes: number): number {
    if (this.#state !== PLAYING || changes !== this.#asOf) return -1
    const index = this.#picks[this.#next] ?? -1
    this.#next = this.#next + 1 === this.#length ? 0 : this.#next + 1
    return index
  }

  /** Gives the peers what they are owed by now, if the record was being played, and forgets it. */
  stop(peers: readonly Peer[]): void {
    if (this.#state === PLAYING) {
      const counts = peers.map(() => 0)
      for (const index of this.#picks.slice(0, this.#next)) counts[index] = (counts[index] ?? 0) + 1
      for (const [index, peer] of peers.entries()) {
        const gained = this.#next * (this.#gains[index] ?? 0)
        peer.current = (this.#start[index] ?? 0) + gained - this.#total * (counts[index] ?? 0)
      }
    }
    this.#state = IDLE
  }

  /** Takes note of a pick in which every peer that can be used took part with its whole weight. */
  record(index: number, peers: readonly Peer[], changes: number): void {
    if (this.#state === IDLE || changes !== this.#asOf) {
      this.#begin(peers, changes)
    } else if (this.#state === RECORDING) {
      this.#picks.push(index)
      if (this.#picks.length < this.#length) return
      if (peers.every(({ current }, at) => current === this.#start[at])) this.#state = PLAYING
      else this.#begin(peers, changes)
    }
  }

  #begin(peers: readonly Peer[], changes: number): void {
    this.#gains = peers.map(({ target }) => (target.isAvailable(NO_CONTEXT, this.#now) ? target.weight : 0))
    this.#total = this.#gains.reduce((sum, gain) => sum + gain, 0)
    this.#length = this.#total / this.#gains.reduce(greatestCommonDivisor, 0)
    this.#state = this.#length <= LONGEST ? RECORDING : TOO_LONG
    this.#start = peers.map(({ current }) => current)
    this.#picks = []
    this.#next = 0
    this.#asOf = changes
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
