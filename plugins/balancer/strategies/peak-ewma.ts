import { InvalidStrategyError } from '../../errors.ts'
import { PeakAverage } from '../load/peak-average.ts'
import { checkOptionNames, readDuration } from '../options.ts'
import type { Target } from '../target.ts'
import type { Outcome, PickContext, Strategy, StrategyDeps, StrategyFactory } from '../types.ts'
import { WeightedTargets } from '../weights/weighted-targets.ts'

const DECAY = 10_000
/** The cost of a target of which nothing is known yet, but that has an attempt in flight: more than any other's. */
const PENALTY = 2 ** 40

/**
 * Draws two targets by weight, and takes the one with the less moving average of the response time, times the attempts
 * in flight with the one to come, for its weight. A slower response becomes the average at once, faster ones work
 * with time. The first drawn wins a tie. Errors count as long responses.
 *
 * @see https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/PeakEwma.scala
 */
export const peakEwma: StrategyFactory = {
  name: 'peak-ewma',
  create(options, deps) {
    checkOptionNames('peak-ewma', options, ['decay'])
    const decay = readDuration('peak-ewma', 'decay', options.decay, DECAY)
    if (decay === 0) throw new InvalidStrategyError('peak-ewma', 'decay must be more than 0')
    return new PeakEwma(deps, decay)
  }
}

class PeakEwma implements Strategy {
  readonly needs = { latency: true }
  readonly #deps: StrategyDeps
  readonly #decay: number
  readonly #targets: WeightedTargets
  readonly #averages = new Map<Target, PeakAverage>()

  constructor(deps: StrategyDeps, decay: number) {
    this.#deps = deps
    this.#decay = decay
    this.#targets = new WeightedTargets(deps)
  }

  add(target: Target): void {
    this.#targets.add(target)
    this.#averages.set(target, new PeakAverage(this.#decay, this.#deps.now()))
  }

  remove(target: Target): void {
    this.#targets.remove(target)
    this.#averages.delete(target)
  }

  reweigh(target: Target, previous: number): void {
    this.#targets.reweigh(target, previous)
  }

  get(context: PickContext): Target | undefined {
    const index = this.#targets.draw(context)
    const first = this.#targets.at(index)
    if (first === undefined) return undefined
    const second = this.#targets.at(this.#targets.draw(context, index))
    if (second === undefined) return first
    const now = this.#deps.now()
    return this.#costOf(second, now) < this.#costOf(first, now) ? second : first
  }

  observe(target: Target, outcome: Outcome, milliseconds: number | undefined): void {
    const average = this.#averages.get(target)
    if (outcome === 'error' || outcome === 'failure') average?.observeError(milliseconds ?? 0, this.#deps.now())
    else if (outcome === 'success' && milliseconds !== undefined) average?.observe(milliseconds, this.#deps.now())
  }

  #costOf(target: Target, now: number): number {
    const average = this.#averages.get(target)?.read(now) ?? 0
    const { inFlight, share } = target
    return (average === 0 && inFlight > 0 ? PENALTY + inFlight : average * (inFlight + 1)) / share
  }
}
