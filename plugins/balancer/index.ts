import { performance } from 'node:perf_hooks'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { BalancerRegistry, type UpstreamOptions } from './registry.ts'
import type { StrategyFactory } from './types.ts'

export { Balancer } from './balancer.ts'
export { uniformOf, weightedScore } from './hashing/weighted-score.ts'
export { Xxh64 } from './hashing/xxh64.ts'
export type { BalancerObserver, Gate, LevelState, Obstacle, TargetChange } from './observer.ts'
export { BalancerRegistry, type StrategyChoice, StrategyRegistry, type UpstreamOptions } from './registry.ts'
export type { SlowStartOptions } from './slow-start.ts'
export { cookieAttributes } from './sticky/cookie-attributes.ts'
export { equalInConstantTime, hmac } from './sticky/signature.ts'
export { FULL_RAMP, Target, type TargetOptions } from './target.ts'
export { type TlsOptions, tlsConnection } from './target-tls.ts'
export type { TargetAddress, TargetProtocol } from './target-url.ts'
export type {
  Affinity,
  Outcome,
  PickContext,
  Strategy,
  StrategyDeps,
  StrategyFactory,
  StrategyNeeds,
  StrategyOptions
} from './types.ts'

declare module 'fastify' {
  interface FastifyInstance {
    balancers: BalancerRegistry
  }
}

export interface BalancersOptions {
  /** Upstreams by name. @default {} */
  upstreams?: Readonly<Record<string, UpstreamOptions>> | undefined
  /** Strategies beside the built-in ones. @default [] */
  strategies?: readonly StrategyFactory[] | undefined
  /** A monotonic clock, in milliseconds. @default performance.now */
  now?: (() => number) | undefined
  /** A number from 0 up to, not including, 1. @default Math.random */
  random?: (() => number) | undefined
  /** The time of day, in milliseconds since the epoch. @default Date.now */
  date?: (() => number) | undefined
}

/**
 * The balancers of some upstreams, for use without Fastify.
 * @throws the errors of `StrategyRegistry.add` and `BalancerRegistry.add`
 */
export function createBalancers(options: BalancersOptions = {}): BalancerRegistry {
  const { upstreams = {}, strategies = [], now = () => performance.now(), random = Math.random } = options
  const balancers = new BalancerRegistry({ now, random, date: options.date ?? Date.now })
  for (const strategy of strategies) balancers.strategies.add(strategy)
  for (const [name, upstream] of Object.entries(upstreams)) balancers.add(name, upstream)
  return balancers
}

const balancer: FastifyPluginAsync<BalancersOptions> = async (fastify, options) => {
  fastify.decorate('balancers', createBalancers(options))
}

export default fp(balancer, { name: 'gateway-balancer', fastify: '5.x' })
