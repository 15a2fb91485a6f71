import { checkOptionNames } from '../options.ts'
import type { Target } from '../target.ts'
import type { Outcome, PickContext, Strategy, StrategyDeps, StrategyFactory } from '../types.ts'

/** Share of the latest sample in the average. */
const SMOOTHING = 0.1
/** What an error counts at least, in milliseconds: a target that fails fast must not look fast. */
const ERROR_TIME = 1_000
/** After this many milliseconds without a sample an idle target has its average halved, and so gets another chance. */
const HALVING = 5_000

interface Peer {
  readonly target: Target
  /** Milliseconds; 0 while nothing is known. */
  average: number
  /** When the average was last changed. */
  changed: number
}

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
  readonly #peers: Peer[] = []
  readonly #byTarget = new Map<Target, Peer>()
  /** The targets with the least cost so far, while a pick is made. */
  readonly #tied: Target[] = []
  readonly #deps: StrategyDeps

  constructor(deps: StrategyDeps) {
    this.#deps = deps
  }

  add(target: Target): void {
    const peer = { target, average: 0, changed: this.#deps.now() }
    this.#peers.push(peer)
    this.#byTarget.set(target, peer)
  }

  remove(target: Target): void {
    const index = this.#peers.findIndex((peer) => peer.target === target)
    this.#peers.splice(index, 1)
    this.#byTarget.delete(target)
  }

  get(context: PickContext): Target | undefined {
    const now = this.#deps.now()
    let least = Number.POSITIVE_INFINITY
    let tied = 0
    for (const peer of this.#peers) {
      const cost = costOf(peer, now)
      if (cost > least || !peer.target.isAvailable(context, this.#deps.now)) continue
      if (cost < least) tied = 0
      least = cost
      this.#tied[tied++] = peer.target
    }
    if (tied === 0) return undefined
    return this.#tied[tied === 1 ? 0 : Math.floor(this.#deps.random() * tied)]
  }

  observe(target: Target, outcome: Outcome, milliseconds: number | undefined): void {
    const peer = this.#byTarget.get(target)
    if (peer === undefined) return
    const isError = outcome === 'error' || outcome === 'failure'
    const sample = isError ? Math.max(milliseconds ?? 0, ERROR_TIME) : milliseconds
    if (sample === undefined) return
    // Who was not waited for to the end would have taken longer: that says something only if it was long already.
    if (outcome === 'neutral' && sample <= (peer.average === 0 ? ERROR_TIME : peer.average)) return
    peer.average = peer.average === 0 ? sample : peer.average + SMOOTHING * (sample - peer.average)
    peer.changed = this.#deps.now()
  }
}

/** A target of which nothing is known is worth one attempt; while that is under way it counts as one that fails. */
function costOf(peer: Peer, now: number): number {
  const { inFlight, weight } = peer.target
  if (inFlight === 0) {
    // With attempts in flight, no sample is no sign of idleness but of a target that does not answer.
    const halvings = Math.floor((now - peer.changed) / HALVING)
    if (halvings > 0) {
      peer.average *= 0.5 ** halvings
      peer.changed += halvings * HALVING
    }
    return peer.average / weight
  }
  return ((peer.average === 0 ? ERROR_TIME : peer.average) * (inFlight + 1)) / weight
}
