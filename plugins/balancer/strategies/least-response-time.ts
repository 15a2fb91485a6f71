import { SmoothedAverage } from '../load/smoothed-average.ts'
import { checkOptionNames } from '../options.ts'
import type { Target } from '../target.ts'
import type { Outcome, PickContext, Strategy, StrategyDeps, StrategyFactory } from '../types.ts'

/**
 * Takes the target with the least average response time, times the attempts in flight with the one to come, for its
 * weight; ties at random. Looks at all targets. nginx's `least_time header` without the steps of 20 ms, and with errors.
 *
 * @see https://nginx.org/en/docs/http/ngx_http_upstream_module.html#least_time
 */
export const leastResponseTime: StrategyFactory = {
  name: 'least-response-time',
  create(options, deps) {
    checkOptionNames('least-response-time', options, [])
    return new LeastResponseTime(deps)
  }
}

class LeastResponseTime implements Strategy {
  readonly needs = { latency: true }
  readonly #targets: Target[] = []
  /** In the order of the targets. */
  readonly #averages: SmoothedAverage[] = []
  readonly #averageOf = new Map<Target, SmoothedAverage>()
  /** The targets with the least cost so far, while a pick is made. */
  readonly #tied: Target[] = []
  readonly #deps: StrategyDeps

  constructor(deps: StrategyDeps) {
    this.#deps = deps
  }

  add(target: Target): void {
    const average = new SmoothedAverage(this.#deps.now())
    this.#targets.push(target)
    this.#averages.push(average)
    this.#averageOf.set(target, average)
  }

  remove(target: Target): void {
    const index = this.#targets.indexOf(target)
    this.#targets.splice(index, 1)
    this.#averages.splice(index, 1)
    this.#averageOf.delete(target)
  }

  get(context: PickContext): Target | undefined {
    const now = this.#deps.now()
    let least = Number.POSITIVE_INFINITY
    let tied = 0
    for (let index = 0; index < this.#targets.length; index++) {
      const target = this.#targets[index]
      if (target === undefined) continue
      const { inFlight, share } = target
      const cost = ((this.#averages[index]?.expect(inFlight, now) ?? 0) * (inFlight + 1)) / share
      if (cost > least || !target.isAvailable(context, this.#deps.now)) continue
      if (cost < least) tied = 0
      least = cost
      this.#tied[tied++] = target
    }
    if (tied === 0) return undefined
    return this.#tied[tied === 1 ? 0 : Math.floor(this.#deps.random() * tied)]
  }

  observe(target: Target, outcome: Outcome, milliseconds: number | undefined): void {
    this.#averageOf.get(target)?.observe(outcome, milliseconds, this.#deps.now())
  }
}
