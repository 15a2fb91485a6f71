import { checkOptionNames } from '../options.ts'
import type { Target } from '../target.ts'
import type { StrategyFactory } from '../types.ts'

/** Takes the available targets in turn, in the order of the list. Weights are ignored, save that 0 means never. */
export const roundRobin: StrategyFactory = {
  name: 'round-robin',
  create(options, { now }) {
    checkOptionNames('round-robin', options, [])
    const targets: Target[] = []
    let next = 0

    return {
      add(target) {
        targets.push(target)
      },
      remove(target) {
        const index = targets.indexOf(target)
        targets.splice(index, 1)
        // The target whose turn it is keeps its turn.
        if (index < next) next--
      },
      get(context) {
        for (let step = 0; step < targets.length; step++) {
          const index = (next + step) % targets.length
          const target = targets[index]
          if (target?.isAvailable(context, now)) {
            next = index + 1
            return target
          }
        }
        return undefined
      }
    }
  }
}
