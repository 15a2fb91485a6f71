import type { Balancer, BalancerObserver, Outcome, Target } from '../balancer/index.ts'
import { type BreakerOptions, type BreakerState, CircuitBreaker } from './circuit-breaker.ts'
import type { HealthEvent, Watch } from './health.ts'
import { RollingCounts } from './rolling-counts.ts'

export interface WatchedBreakerOptions extends BreakerOptions {
  /** Milliseconds after which a response that has not begun is slow; 0 = none is. */
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
    onChange: (state, cause) => {
      const reason = reasonFor(state, cause, options)
      health.report({ upstream, target: undefined, what: EVENTS[state], reason })
    }
  })
  balancer.gate = breaker
  health.watchCircuit(upstream, breaker)
  balancer.observe(observerOf(options, () => breaker))
  timetable.every(RollingCounts.stepOf(options.window), () => breaker.tick())
}

/** Gives each target a circuit breaker, which puts it out of use, and lets it take up its work little by little. */
export function watchTargetBreakers(balancer: Balancer, options: WatchedBreakerOptions, watch: Watch): void {
  const { health, timetable, now, random } = watch
  const upstream = balancer.name
  const breakers = new Map<Target, CircuitBreaker>()
  /** Nobody asks for a target that is out of use, so that only time can bring it back. */
  const wake = (target: Target, breaker: CircuitBreaker): void => {
    timetable.after(breaker.retryAfter, () => {
      if (breakers.get(target) !== breaker) return
      breaker.moveOn()
      if (breaker.retryAfter > 0) wake(target, breaker)
    })
  }
  const breakerOf = (target: Target): CircuitBreaker => {
    const known = breakers.get(target)
    if (known !== undefined) return known
    const onChange = (state: BreakerState, cause: string) => {
      if (state === 'open') wake(target, created)
      target.set('open', state === 'open')
      if (state === 'recovering') balancer.ramp(target, options.recovery)
      health.report({ upstream, target: target.url, what: EVENTS[state], reason: reasonFor(state, cause, options) })
    }
    const created = new CircuitBreaker(options, { now, random, onChange })
    breakers.set(target, created)
    return created
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
      breakerOf(target).record(outcome, isSlow)
    }
  }
}

function reasonFor(state: BreakerState, cause: string, { openFor, recovery }: BreakerOptions): string {
  if (state === 'open') return `too many ${cause}; for ${openFor} ms`
  return state === 'recovering' ? `${openFor} ms are over` : `few failures within ${recovery} ms`
}
