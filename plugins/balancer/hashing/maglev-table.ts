import { Xxh64 } from './xxh64.ts'

/** A target as the table sees it. */
export interface MaglevEntry {
  readonly permutation: Permutation
  readonly weight: number
}

const EMPTY = -1

/**
 * The table of the paper: each entry has a permutation of all places, and they take turns in claiming the next free place
 * of their own. Built as Envoy does it, down to the doubles in which it counts weights, so that both agree.
 *
 * @see https://research.google/pubs/maglev-a-fast-and-reliable-software-network-load-balancer/ section 3.4
 * @see https://github.com/envoyproxy/envoy/blob/main/source/extensions/load_balancing_policies/maglev/maglev_lb.cc
 */
export class MaglevTable {
  readonly #places: Int32Array
  readonly #claims: readonly Claim[]
  readonly #largest: number
  #free: number
  #turn = 1
  #next = 0

  /** @param size a prime number, much larger than the number of entries; at most 2^26 */
  constructor(entries: readonly MaglevEntry[], size: number) {
    const total = entries.reduce((sum, { weight }) => sum + weight, 0)
    this.#claims = entries
      .map((entry, index) => new Claim(entry, entry.weight / total, index))
      .filter(({ weight }) => weight > 0)
      .sort((a, b) => Number(a.name > b.name) - Number(a.name < b.name))
    this.#largest = this.#claims.reduce((largest, { weight }) => Math.max(largest, weight), 0)
    this.#places = new Int32Array(size).fill(EMPTY)
    this.#free = this.#claims.length === 0 ? 0 : size
  }

  get isBuilt(): boolean {
    return this.#free === 0
  }

  /** The index of the entry that has a place; -1 when no entry has a weight. */
  at(place: number): number {
    return this.#places[place] ?? EMPTY
  }

  /**
   * Goes on with the building.
   * @param steps so many places are looked at, or some more
   */
  build(steps = Number.POSITIVE_INFINITY): void {
    let left = steps
    while (this.#free > 0 && left > 0) {
      const claim = this.#claims[this.#next]
      // Whoever has the largest weight claims in every turn, one with half of it in every second.
      if (claim !== undefined && this.#turn * claim.weight >= claim.due) {
        claim.due += this.#largest
        left -= claim.take(this.#places)
        this.#free--
      }
      left--
      this.#next++
      if (this.#next < this.#claims.length) continue
      this.#next = 0
      this.#turn++
    }
  }
}

/** Where the permutation of all places begins that a name has, and how it goes on. */
export interface Permutation {
  readonly name: string
  readonly offset: number
  readonly skip: number
}

export function permutationOf(name: string, size: number): Permutation {
  const bytes = Buffer.from(name).toString('latin1')
  const xxh64 = new Xxh64()
  const offset = xxh64.hash(bytes).modulo(size)
  return { name, offset, skip: xxh64.hash(bytes, 1).modulo(size - 1) + 1 }
}

class Claim {
  readonly name: string
  readonly weight: number
  /** What `turn * weight` must reach for the next claim. */
  due = 0
  readonly #index: number
  readonly #skip: number
  #place: number

  constructor({ permutation }: MaglevEntry, weight: number, index: number) {
    this.name = permutation.name
    this.weight = weight
    this.#index = index
    this.#place = permutation.offset
    this.#skip = permutation.skip
  }

  /** Takes the next place of the permutation that is free; gives how many were not. */
  take(places: Int32Array): number {
    let taken = 0
    while (places[this.#place] !== EMPTY) {
      this.#place = (this.#place + this.#skip) % places.length
      taken++
    }
    places[this.#place] = this.#index
    return taken
  }
}
