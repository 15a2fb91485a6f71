import { compareLoad } from '../load/compare-load.ts'
import { checkOptionNames } from '../options.ts'
import type { StrategyFactory } from '../types.ts'
import { WeightedTargets } from '../weights/weighted-targets.ts'

/**
 * The power of two choices: draws two targets by weight, and takes the one with fewer attempts in flight for its weight.
 * The first drawn wins a tie, so that idle targets share the traffic by weight.
 *
 * @see https://www.eecs.harvard.edu/~michaelm/postscripts/handbook2001.pdf Mitzenmacher, Richa, Sitaraman
 */
export const p2c: StrategyFactory = {
  name: 'p2c',
  create(options, deps) {
    checkOptionNames('p2c', options, [])
    const targets = new WeightedTargets(deps)

    return {
      add: (target) => targets.add(target),
      remove: (target) => targets.remove(target),
      reweigh: (target, previous) => targets.reweigh(target, previous),
      get(context) {
        const index = targets.draw(context)
        const first = targets.at(index)
        if (first === undefined) return undefined
        const second = targets.at(targets.draw(context, index))
        return second !== undefined && compareLoad(second, first) < 0 ? second : first
      }
    }
  }
}
