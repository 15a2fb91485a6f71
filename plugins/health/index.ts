import { performance } from 'node:perf_hooks'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Target } from '../balancer/index.ts'
import { type GatewayConfig, type GatewayOptions, parseOptions } from '../config/index.ts'
import { ActiveChecks } from './active-checks.ts'
import { Health, type HealthChange, type Watch } from './health.ts'
import { createProbe } from './probes/index.ts'
import { type Schedule, Timetable } from './timetable.ts'
import { watchTargetBreakers, watchUpstreamBreaker } from './watch-breakers.ts'
import { watchOutliers } from './watch-outliers.ts'

export type { Health, HealthChange, HealthEvent, HealthEvents, TargetHealth, UpstreamHealth } from './health.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The health of the upstreams of this scope, and how it changes. */
    health: Health
  }
}

export interface HealthOptions {
  /** A configuration that was parsed already; `upstreams` is not looked at then. */
  config?: GatewayConfig | undefined
  /** Upstreams as in the configuration; balancers of those names must be there. @default {} */
  upstreams?: GatewayOptions['upstreams'] | undefined
  /** A monotonic clock, in milliseconds. @default performance.now */
  now?: (() => number) | undefined
  /** A number from 0 up to, not including, 1. @default Math.random */
  random?: (() => number) | undefined
  /** Calls back after so many milliseconds; what it returns cancels that. @default setTimeout, unreferenced */
  schedule?: Schedule | undefined
}

/**
 * Watches the health of upstreams, and keeps those targets from being picked that are not well. Throws
 * UnknownUpstreamError, InvalidConfigError at boot.
 */
const health: FastifyPluginAsync<HealthOptions> = async (fastify, options) => {
  const { now = () => performance.now(), random = Math.random, schedule = wait } = options
  const { upstreams } = options.config ?? parseOptions({ upstreams: options.upstreams ?? {} })
  if (!Object.hasOwn(fastify, 'health')) fastify.decorate('health', new Health(fastify.log))
  const { health } = fastify
  const timetable = new Timetable(now, schedule)
  const watch: Watch = { health, timetable, now, random }
  const checks: ActiveChecks[] = []
  for (const [name, upstream] of Object.entries(upstreams)) {
    const balancer = fastify.balancers.get(name)
    const { active, passive } = upstream.health
    const { circuitBreaker } = upstream
    health.watch(balancer)
    const outliers = passive.enabled ? watchOutliers(balancer, passive, watch) : undefined
    if (circuitBreaker.target.enabled) watchTargetBreakers(balancer, circuitBreaker.target, watch)
    if (circuitBreaker.upstream.enabled) watchUpstreamBreaker(balancer, circuitBreaker.upstream, watch)
    if (active?.enabled !== true) continue
    const onChange = (change: HealthChange, target: Target) => {
      health.report(change)
      // What was seen to be gone, and to be back, has nothing to do with what its requests were like before.
      if (change.what === 'healthy') outliers?.readmit(target, 'active checks find it healthy again')
    }
    const probe = createProbe(active, upstream)
    checks.push(new ActiveChecks({ balancer, rules: active, probe, timetable, now, random, onChange }))
  }
  fastify.addHook('onReady', async () => {
    for (const check of checks) check.start()
  })
  fastify.addHook('onClose', async () => {
    for (const check of checks) check.stop()
    timetable.stop()
  })
}

function wait(callback: () => void, milliseconds: number): () => void {
  const timer = setTimeout(callback, milliseconds).unref()
  return () => clearTimeout(timer)
}

export default fp(health, { name: 'gateway-health', fastify: '5.x', dependencies: ['gateway-balancer'] })
