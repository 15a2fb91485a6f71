import { checkOptionNames } from '../options.ts'
import type { Target } from '../target.ts'
import type { PickContext, StrategyFactory } from '../types.ts'

/**
 * Draws a target with a chance proportional to its weight.
 * Needs no agreement between processes, at the price of uneven short runs.
 */
export const random: StrategyFactory = {
  name: 'random',
  create(options, deps) {
    checkOptionNames('random', options, [])
    const targets: Target[] = []
    let totalWeight = 0

    return {
      add(target) {
        targets.push(target)
        totalWeight += target.weight
      },
      remove(target) {
        targets.splice(targets.indexOf(target), 1)
        totalWeight -= target.weight
      },
      get(context) {
        let ticket = Math.floor(deps.random() * totalWeight)
        for (const target of targets) {
          ticket -= target.weight
          if (ticket < 0) return target.isAvailable(context, deps.now) ? target : drawAvailable(context)
        }
        return undefined
      }
    }

    // A second draw among the available leaves their chances in proportion: each gains its share of the rejected.
    function drawAvailable(context: PickContext): Target | undefined {
      let available = 0
      for (const target of targets) {
        if (target.isAvailable(context, deps.now)) available += target.weight
      }
      let ticket = Math.floor(deps.random() * available)
      for (const target of targets) {
        if (!target.isAvailable(context, deps.now)) continue
        ticket -= target.weight
        if (ticket < 0) return target
      }
      return undefined
    }
  }
}
