import { checkOptionNames } from '../options.ts'
import { SmoothWeights } from '../smooth-weights.ts'
import type { StrategyFactory } from '../types.ts'

/** Interleaves the targets as evenly as their weights allow, and favours those that do not fail. */
export const smoothWeightedRoundRobin: StrategyFactory = {
  name: 'smooth-weighted-round-robin',
  create(options, { now }) {
    checkOptionNames('smooth-weighted-round-robin', options, [])
    return new SmoothWeights(now)
  }
}
