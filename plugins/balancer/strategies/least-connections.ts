import { LoadOrder } from '../load/load-order.ts'
import { NginxLeastConnections } from '../load/nginx-least-connections.ts'
import { checkOptionNames, readCompat } from '../options.ts'
import type { Target } from '../target.ts'
import { NO_CONTEXT, type PickContext, type Strategy, type StrategyDeps, type StrategyFactory } from '../types.ts'

/**
 * Takes the target that would have the fewest attempts in flight for its weight, ties at random.
 * With `compat: 'nginx'`, it is nginx's least_conn: attempts under way are compared without the one to come, and
 * ties go by smooth weighted round robin.
 *
 * @see https://github.com/nginx/nginx/blob/release-1.22.1/src/http/modules/ngx_http_upstream_least_conn_module.c
 */
export const leastConnections: StrategyFactory = {
  name: 'least-connections',
  create(options, deps) {
    checkOptionNames('least-connections', options, ['compat'])
    const isNginx = readCompat('least-connections', options.compat)
    return isNginx ? new NginxLeastConnections(deps.now) : new LeastConnections(deps)
  }
}

class LeastConnections implements Strategy {
  readonly #targets: Target[] = []
  /** Those that could not be used when they were drawn. */
  #unavailable: Target[] = []
  readonly #order: LoadOrder
  readonly #deps: StrategyDeps

  constructor(deps: StrategyDeps) {
    this.#deps = deps
    this.#order = new LoadOrder(deps.random)
  }

  add(target: Target): void {
    // While there was one target only, nobody told of its attempts.
    for (const other of this.#targets) this.#order.move(other)
    this.#targets.push(target)
    this.#order.add(target)
  }

  remove(target: Target): void {
    this.#targets.splice(this.#targets.indexOf(target), 1)
    this.#unavailable = this.#unavailable.filter((other) => other !== target)
    this.#order.remove(target)
  }

  reweigh(target: Target): void {
    this.#order.reweigh(target)
  }

  ramp(target: Target): void {
    this.#order.reweigh(target)
  }

  begin(target: Target): void {
    this.#order.move(target)
  }

  observe(target: Target): void {
    this.#order.move(target)
  }

  get(context: PickContext): Target | undefined {
    if (this.#unavailable.length > 0) this.#putBack()
    for (;;) {
      const target = this.#order.draw()
      if (target === undefined || target.isAvailable(context, this.#deps.now)) return target
      if (target.isAvailable(NO_CONTEXT, this.#deps.now)) return this.#scan(context)
      this.#order.takeOut(target)
      this.#unavailable.push(target)
    }
  }

  #putBack(): void {
    this.#unavailable = this.#unavailable.filter((target) => {
      const stays = !target.isAvailable(NO_CONTEXT, this.#deps.now)
      if (!stays) this.#order.putBack(target)
      return stays
    })
  }

  /** Looks at all targets, for the exchange has tried one of the least loaded. */
  #scan(context: PickContext): Target | undefined {
    let best: Target | undefined
    let tied = 1
    for (const target of this.#targets) {
      if (!target.isAvailable(context, this.#deps.now)) continue
      // (inFlight + 1) / share, multiplied out: exact, and free of division.
      const difference =
        best === undefined ? -1 : (target.inFlight + 1) * best.share - (best.inFlight + 1) * target.share
      if (difference < 0) {
        best = target
        tied = 1
      } else if (difference === 0 && this.#deps.random() * ++tied < 1) {
        // The k-th of the tied replaces the choice with a chance of 1/k, which makes all of them equally likely.
        best = target
      }
    }
    return best
  }
}
