import { performance } from 'node:perf_hooks'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { type GatewayConfig, type GatewayOptions, parseOptions } from '../config/index.ts'
import { Health, type Watch } from './health.ts'
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

/** Watches the health of upstreams. Throws UnknownUpstreamError, InvalidConfigError at boot. */
const health: FastifyPluginAsync<HealthOptions> = async (fastify, options) => {
  const { now = () => performance.now(), random = Math.random, schedule = wait } = options
  const { upstreams } = options.config ?? parseOptions({ upstreams: options.upstreams ?? {} })
  if (!Object.hasOwn(fastify, 'health')) fastify.decorate('health', new Health(fastify.log))
  const timetable = new Timetable(now, schedule)
  const watch: Watch = { health: fastify.health, timetable, now, random }
  for (const [name, { health, circuitBreaker }] of Object.entries(upstreams)) {
    const balancer = fastify.balancers.get(name)
    fastify.health.watch(balancer)
    if (health.passive.enabled) watchOutliers(balancer, health.passive, watch)
    if (circuitBreaker.target.enabled) watchTargetBreakers(balancer, circuitBreaker.target, watch)
    if (circuitBreaker.upstream.enabled) watchUpstreamBreaker(balancer, circuitBreaker.upstream, watch)
  }
  fastify.addHook('onClose', async () => timetable.stop())
}

function wait(callback: () => void, milliseconds: number): () => void {
  const timer = setTimeout(callback, milliseconds).unref()
  return () => clearTimeout(timer)
}

export default fp(health, { name: 'gateway-health', fastify: '5.x', dependencies: ['gateway-balancer'] })
