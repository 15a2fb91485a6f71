import type { Target } from '../target.ts'
import { hostOf } from '../target-url.ts'
import type { PickContext } from '../types.ts'
import { finalize } from './key-lot.ts'
import type { Uint64 } from './uint64.ts'
import { uniformOf, weightedScore } from './weighted-score.ts'
import { Xxh64 } from './xxh64.ts'

/** More than the rounding of logarithm and exponential together. */
const EPSILON = 1e-12

/**
 * Highest random weight: each key gives each target a score, and the available target with the highest wins. Whatever
 * becomes of other targets, a key stays where it is as long as its own one can be used.
 *
 * The score is `-weight / ln(u)`, where `u`, between 0 and 1, is a hash of key and target: XXH64 of both, combined by the
 * finalizer of MurmurHash3. A target is chosen by a share of the keys that is in proportion to its weight.
 *
 * @see https://www.microsoft.com/en-us/research/wp-content/uploads/2017/02/HRW98.pdf Thaler and Ravishankar
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-bess-weighted-hrw section 3.2, for the weights
 */
export class RendezvousScores {
  readonly #now: () => number
  readonly #targets: Target[] = []
  /** Two words of hash for each target. */
  readonly #seeds: number[] = []
  #largestWeight = 0

  constructor(now: () => number) {
    this.#now = now
  }

  add(target: Target): void {
    this.#targets.push(target)
    const { high, low } = new Xxh64().hash(Buffer.from(hostOf(target)).toString('latin1'))
    this.#seeds.push(high, low)
    this.#largestWeight = Math.max(this.#largestWeight, target.weight)
  }

  remove(target: Target): void {
    const index = this.#targets.indexOf(target)
    this.#targets.splice(index, 1)
    this.#seeds.splice(index * 2, 2)
    this.reweigh()
  }

  /** The weight of a target has changed. */
  reweigh(): void {
    this.#largestWeight = this.#targets.reduce((largest, { weight }) => Math.max(largest, weight), 0)
  }

  get(key: Uint64, context: PickContext): Target | undefined {
    let best: Target | undefined
    let highest = 0
    // Whatever its weight, a target whose `u` is not above this does not score higher: most need no logarithm.
    let least = 0
    for (let index = 0; index < this.#targets.length; index++) {
      const target = this.#targets[index]
      if (target === undefined) continue
      const low = finalize(key.low ^ (this.#seeds[index * 2 + 1] ?? 0))
      const high = finalize((key.high ^ (this.#seeds[index * 2] ?? 0)) + low)
      const uniform = uniformOf(high, low)
      if (uniform <= least) continue
      const score = weightedScore(target.weight, uniform)
      if (score > highest && target.isAvailable(context, this.#now)) {
        best = target
        highest = score
        least = Math.exp(-this.#largestWeight / highest) - EPSILON
      }
    }
    return best
  }
}
