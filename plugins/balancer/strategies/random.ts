import { checkOptionNames } from '../options.ts'
import type { StrategyFactory } from '../types.ts'
import { WeightedTargets } from '../weights/weighted-targets.ts'

/**
 * Draws a target with a chance proportional to its weight.
 * Needs no agreement between processes, at the price of uneven short runs.
 */
export const random: StrategyFactory = {
  name: 'random',
  create(options, deps) {
    checkOptionNames('random', options, [])
    const targets = new WeightedTargets(deps)

    return {
      add: (target) => targets.add(target),
      remove: (target) => targets.remove(target),
      reweigh: (target, previous) => targets.reweigh(target, previous),
      get: (context) => targets.at(targets.draw(context))
    }
  }
}
