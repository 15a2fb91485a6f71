import { checkOptionNames } from '../options.ts'
import type { StrategyFactory } from '../types.ts'
import { SmoothWeights } from '../weights/smooth-weights.ts'

/** Interleaves the targets as evenly as their weights allow, and favours those that do not fail. */
export const smoothWeightedRoundRobin: StrategyFactory = {
  name: 'smooth-weighted-round-robin',
  create(options, { now }) {
    checkOptionNames('smooth-weighted-round-robin', options, [])
    return new SmoothWeights(now)
  }
}
