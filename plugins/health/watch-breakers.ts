import type { Balancer, BalancerObserver, Outcome, Target } from '../balancer/index.ts'
import { type BreakerOptions, type BreakerState, CircuitBreaker } from './circuit-breaker.ts'
import type { HealthEvent, Watch } from './health.ts'
import { RollingCounts } from './rolling-counts.ts'

export interface WatchedBreakerOptions extends BreakerOptions {
  /** Milliseconds after which a response that has not begun counts as a failure; 0 = none does. */
  readonly slowAfter: number
}

const EVENTS: Readonly<Record<BreakerState, HealthEvent>> = {
  open: 'opened',
  recovering: 'recovering',
  closed: 'closed'
}

/** Gives the upstream as a whole a circuit breaker, which turns requests away. */
export function watchUpstreamBreaker(balancer: Balancer, options: WatchedBreakerOptions, watch: Watch): void {
  const { health, timetable, now, random } = watch
  const upstream = balancer.name
  const breaker = new CircuitBreaker(options, {
    now,
    random,
    onChange: (state) => {
      const reason = reasonFor(state, options)
      health.report({ upstream, target: undefined, what: EVENTS[state], reason })
    }
  })
  balancer.gate = breaker
  balancer.observe(observerOf(options, () => breaker))
  timetable.every(RollingCounts.stepOf(options.window), () => breaker.tick())
}

/** Gives each target a circuit breaker, which puts it out of use, and lets it take up its work little by little. */
export function watchTargetBreakers(balancer: Balancer, options: WatchedBreakerOptions, watch: Watch): void {
  const { health, timetable, now, random } = watch
  const upstream = balancer.name
  const breakers = new Map<Target, CircuitBreaker>()
  const breakerOf = (target: Target): CircuitBreaker => {
    let breaker = breakers.get(target)
    if (breaker !== undefined) return breaker
    const onChange = (state: BreakerState) => {
      target.set('open', state === 'open')
      if (state === 'recovering') balancer.ramp(target, options.recovery)
      health.report({ upstream, target: target.url, what: EVENTS[state], reason: reasonFor(state, options) })
    }
    breaker = new CircuitBreaker(options, { now, random, onChange })
    breakers.set(target, breaker)
    return breaker
  }
  balancer.observe({ ...observerOf(options, breakerOf), onRemove: (target) => void breakers.delete(target) })
  timetable.every(RollingCounts.stepOf(options.window), () => {
    for (const breaker of breakers.values()) breaker.tick()
  })
}

function observerOf(
  { slowAfter }: WatchedBreakerOptions,
  breakerOf: (target: Target) => CircuitBreaker
): BalancerObserver {
  return {
    latency: slowAfter > 0,
    onOutcome(target: Target, outcome: Outcome, milliseconds: number | undefined) {
      if (outcome === 'neutral') return
      const isSlow = slowAfter > 0 && milliseconds !== undefined && milliseconds > slowAfter
      breakerOf(target).record(outcome !== 'success' || isSlow)
    }
  }
}

function reasonFor(state: BreakerState, { openFor, recovery }: BreakerOptions): string {
  if (state === 'open') return `too many failures; for ${openFor} ms`
  return state === 'recovering' ? `${openFor} ms are over` : `few failures within ${recovery} ms`
}
