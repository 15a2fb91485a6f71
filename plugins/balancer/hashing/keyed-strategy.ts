import type { Target } from '../target.ts'
import type { Outcome, PickContext, Strategy, StrategyNeeds } from '../types.ts'
import { SmoothWeights } from '../weights/smooth-weights.ts'

/** What strategies that hash a key have in common: without a key, the targets take turns by weight. */
export abstract class KeyedStrategy implements Strategy {
  readonly needs: StrategyNeeds = { key: true }
  protected readonly now: () => number
  protected readonly turns: SmoothWeights

  constructor(now: () => number) {
    this.now = now
    this.turns = new SmoothWeights(now)
  }

  add(target: Target): void {
    this.turns.add(target)
  }

  remove(target: Target): void {
    this.turns.remove(target)
  }

  reweigh(target: Target, previous: number): void {
    this.turns.reweigh(target, previous)
  }

  get(context: PickContext): Target | undefined {
    const { key } = context
    return key === undefined || key === '' ? this.turns.get(context) : this.getByKey(key, context)
  }

  observe(target: Target, outcome: Outcome): void {
    this.turns.observe(target, outcome)
  }

  /** @param key not empty */
  protected abstract getByKey(key: string, context: PickContext): Target | undefined
}
