import { performance } from 'node:perf_hooks'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { type GatewayConfig, type GatewayOptions, parseOptions } from '../config/index.ts'
import type { ActiveChecks } from './active-checks.ts'
import { Health, type Watch } from './health.ts'
import { type Schedule, Timetable } from './timetable.ts'
import { watchTargetBreakers, watchUpstreamBreaker } from './watch-breakers.ts'
import { watchChecks } from './watch-checks.ts'
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
    const { circuitBreaker, failover, panicThreshold } = upstream
    const { passive } = upstream.health
    health.watch(balancer)
    const mayLeaveNone = panicThreshold > 0 || failover !== undefined
    const outliers = passive.enabled ? watchOutliers(balancer, passive, watch, mayLeaveNone) : undefined
    if (circuitBreaker.target.enabled) watchTargetBreakers(balancer, circuitBreaker.target, watch)
    if (circuitBreaker.upstream.enabled) watchUpstreamBreaker(balancer, circuitBreaker.upstream, watch)
    const check = watchChecks(balancer, upstream, watch, outliers)
    if (check !== undefined) checks.push(check)
  }
  fastify.addHook('onReady', async () => {
    for (const check of checks) check.start()
  })
  fastify.addHook('onClose', async () => {
    for (const check of checks) check.stop()
    timetable.stop()
  })
}

/** Late by as much as it takes to read what has arrived: after a busy time, an answer that is here is not overdue. */
function wait(callback: () => void, milliseconds: number): () => void {
  let immediate: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    immediate = setImmediate(callback)
  }, milliseconds).unref()
  return () => {
    clearTimeout(timer)
    clearImmediate(immediate)
  }
}

export default fp(health, { name: 'gateway-health', fastify: '5.x', dependencies: ['gateway-balancer'] })
