import { EventEmitter } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { Balancer, BalancerObserver, Target, TargetChange } from '../balancer/index.ts'
import type { BreakerState } from './circuit-breaker.ts'
import type { Timetable } from './timetable.ts'

/**
 * What can happen to a target, or to an upstream as a whole. By active checks: `unhealthy`, `healthy`. By outlier
 * detection: `ejected`, `readmitted`. By circuit breakers: `opened`, `recovering`, `closed`. To a priority: `panic`, `calm`.
 * By whoever runs it: `down`, `up`, `draining`, `undrained`.
 */
export type HealthEvent = keyof typeof LINES

/** One change of state. */
export interface HealthChange {
  /** Name of the upstream. */
  readonly upstream: string
  /** URL of the target; undefined where it is the upstream, or one of its priorities, that has changed. */
  readonly target: string | undefined
  readonly what: HealthEvent
  /** Why, for people. */
  readonly reason: string
}

export interface HealthEvents {
  /** The state of a target or upstream has changed. What a listener throws is logged. */
  change: [change: HealthChange]
}

/** The state of one target. */
export interface TargetHealth {
  readonly url: string
  readonly unhealthy: boolean
  readonly ejected: boolean
  /** Its circuit breaker is. */
  readonly open: boolean
  /** Has yet to pass its first check, and must. */
  readonly pending: boolean
  readonly down: boolean
  readonly draining: boolean
}

/** The state of one upstream. */
export interface UpstreamHealth {
  /** In one of its priorities, or among its backups, unhealthy and ejected targets are picked as well. */
  readonly panic: boolean
  /** The state of its own circuit breaker; `closed` where it has none. */
  readonly circuit: BreakerState
  readonly targets: readonly TargetHealth[]
  /** Requests that were turned away because no target had room, nor the queue. */
  readonly overflows: number
  /** How often each event has happened, where it has. */
  readonly events: Readonly<Partial<Record<HealthEvent, number>>>
}

/** How each event is logged: something that goes out by itself is a warning. */
const LINES = {
  unhealthy: ['warn', 'a target is unhealthy'],
  healthy: ['info', 'a target is healthy'],
  ejected: ['warn', 'a target is ejected'],
  readmitted: ['info', 'a target is readmitted'],
  opened: ['warn', 'a circuit breaker has opened'],
  recovering: ['info', 'a circuit breaker lets some requests through'],
  closed: ['info', 'a circuit breaker has closed'],
  panic: ['warn', 'so few targets are fit that unhealthy and ejected ones are used as well'],
  calm: ['info', 'enough targets are fit again'],
  down: ['info', 'a target is taken down'],
  up: ['info', 'a target is put back'],
  draining: ['info', 'a target is drained'],
  undrained: ['info', 'a target is drained no more']
} as const satisfies Record<string, readonly ['warn' | 'info', string]>

/** What those who judge the health of upstreams need. */
export interface Watch {
  readonly health: Health
  readonly timetable: Timetable
  /** A monotonic clock, in milliseconds. */
  now(): number
  /** A number from 0 up to, not including, 1. */
  random(): number
}

/** The health of all upstreams of a scope: each change is an event, a line in the log, and a count. */
export class Health extends EventEmitter<HealthEvents> {
  readonly #log: FastifyBaseLogger
  readonly #balancers = new Map<string, Balancer>()
  readonly #circuits = new Map<string, { readonly state: BreakerState }>()
  readonly #counts = new Map<string, Partial<Record<HealthEvent, number>>>()

  constructor(log: FastifyBaseLogger) {
    super()
    this.#log = log
  }

  /** The state of all upstreams, by name, as it is now. */
  snapshot(): Record<string, UpstreamHealth> {
    return Object.fromEntries(
      [...this.#balancers].map(([name, { levels, targets, overflows }]) => [
        name,
        {
          panic: levels.some(({ panic }) => panic),
          circuit: this.#circuits.get(name)?.state ?? 'closed',
          targets: targets.map(stateOf),
          overflows,
          events: { ...this.#counts.get(name) }
        }
      ])
    )
  }

  /** Has an upstream belong to the snapshot, and reports what others than health itself change about it. */
  watch(balancer: Balancer): void {
    this.#balancers.set(balancer.name, balancer)
    balancer.observe(this.#observe(balancer.name))
  }

  /** Has the circuit breaker of an upstream belong to the snapshot. */
  watchCircuit(upstream: string, breaker: { readonly state: BreakerState }): void {
    this.#circuits.set(upstream, breaker)
  }

  /** To be called once for each change, after it. */
  report(change: HealthChange): void {
    const { upstream, what } = change
    const counts = this.#counts.get(upstream) ?? {}
    counts[what] = (counts[what] ?? 0) + 1
    this.#counts.set(upstream, counts)
    const [level, message] = LINES[what]
    this.#log[level](change, message)
    try {
      this.emit('change', change)
    } catch (err) {
      this.#log.error(err, 'a listener for changes of health has thrown')
    }
  }

  #observe(upstream: string): BalancerObserver {
    return {
      onChange: (target, change) => {
        const what = eventOf(target, change)
        if (what !== undefined) this.report({ upstream, target: target.url, what, reason: 'by order' })
      },
      onPanic: ({ panic, backup, priority, fit, inService }) => {
        const level = backup ? 'the backups' : `priority ${priority}`
        const reason = `${fit} of ${inService} targets of ${level} are fit`
        this.report({ upstream, target: undefined, what: panic ? 'panic' : 'calm', reason })
      }
    }
  }
}

function eventOf(target: Target, change: TargetChange): HealthEvent | undefined {
  if (change === 'down') return target.down ? 'down' : 'up'
  if (change === 'draining') return target.draining ? 'draining' : 'undrained'
  return undefined
}

function stateOf(target: Target): TargetHealth {
  return {
    url: target.url,
    unhealthy: target.has('unhealthy'),
    ejected: target.has('ejected'),
    open: target.has('open'),
    pending: target.has('pending'),
    down: target.down,
    draining: target.draining
  }
}
