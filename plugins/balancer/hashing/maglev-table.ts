import { Xxh64 } from './xxh64.ts'

/** A target as the table sees it. */
export interface MaglevEntry {
  /** What is hashed of it. */
  readonly name: string
  readonly weight: number
}

const EMPTY = -1

/**
 * The table of the paper: each entry has a permutation of all places, and they take turns in claiming the next free place
 * of their own. Built as Envoy does it, down to the doubles in which it counts weights, so that both agree.
 *
 * @param size a prime number, much larger than the number of entries; at most 2^26
 * @returns for each place the index of its entry; undefined when no entry has a weight
 * @see https://research.google/pubs/maglev-a-fast-and-reliable-software-network-load-balancer/ section 3.4
 * @see https://github.com/envoyproxy/envoy/blob/main/source/extensions/load_balancing_policies/maglev/maglev_lb.cc
 */
export function buildMaglevTable(entries: readonly MaglevEntry[], size: number): Int32Array | undefined {
  const total = entries.reduce((sum, { weight }) => sum + weight, 0)
  if (total === 0) return undefined
  const claims = entries
    .map(({ name, weight }, index) => new Claim(name, weight / total, index, size))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => Number(a.name > b.name) - Number(a.name < b.name))
  const largest = Math.max(...claims.map(({ weight }) => weight))

  const table = new Int32Array(size).fill(EMPTY)
  let free = size
  for (let turn = 1; ; turn++) {
    for (const claim of claims) {
      // Whoever has the largest weight claims in every turn, one with half of it in every second.
      if (turn * claim.weight < claim.due) continue
      claim.due += largest
      claim.take(table)
      if (--free === 0) return table
    }
  }
}

class Claim {
  readonly name: string
  readonly weight: number
  /** What `turn * weight` must reach for the next claim. */
  due = 0
  readonly #index: number
  readonly #skip: number
  #place: number

  constructor(name: string, weight: number, index: number, size: number) {
    const bytes = Buffer.from(name).toString('latin1')
    const xxh64 = new Xxh64()
    this.name = name
    this.weight = weight
    this.#index = index
    this.#place = xxh64.hash(bytes).modulo(size)
    this.#skip = xxh64.hash(bytes, 1).modulo(size - 1) + 1
  }

  /** Takes the next place of the permutation that is free. */
  take(table: Int32Array): void {
    while (table[this.#place] !== EMPTY) this.#place = (this.#place + this.#skip) % table.length
    table[this.#place] = this.#index
  }
}
