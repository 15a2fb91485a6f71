import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { type GatewayConfig, type GatewayOptions, parseOptions } from '../config/index.ts'
import { Source } from './source.ts'

export interface DiscoveryOptions {
  /** A configuration that was parsed already; `upstreams` is not looked at then. */
  config?: GatewayConfig | undefined
  /** Upstreams as in the configuration, of which those with `discover` are attended to. @default {} */
  upstreams?: GatewayOptions['upstreams'] | undefined
  /** A number from 0 up to, not including, 1. @default Math.random */
  random?: (() => number) | undefined
  /** Calls back after so many milliseconds; what it returns cancels that. @default setTimeout, unreferenced */
  schedule?: ((callback: () => void, milliseconds: number) => () => void) | undefined
}

/**
 * Finds targets by DNS, and keeps those of the balancers as DNS has them. The app is ready when all names were looked up
 * once, whether there was an answer or not. Throws UnknownUpstreamError, InvalidConfigError at boot.
 */
const discovery: FastifyPluginAsync<DiscoveryOptions> = async (fastify, options) => {
  const { random = Math.random, schedule = wait } = options
  const { upstreams } = options.config ?? parseOptions({ upstreams: options.upstreams ?? {} })
  const sources = Object.entries(upstreams).flatMap(([upstream, { discover }]) =>
    discover.map(({ dns: name, type, servers, timeout, minTtl, maxTtl, ...target }) => {
      const log = fastify.log.child({ upstream, name })
      const balancer = fastify.balancers.get(upstream)
      return new Source({
        ...{ balancer, name, type, servers, timeout, minTtl, maxTtl, target, random, schedule },
        onChange: (changes) => log.info(changes, 'targets have changed by DNS'),
        onFailure: (err) => log.warn(err, 'DNS has no targets; those of its last answer are kept')
      })
    })
  )
  if (sources.length === 0) return
  fastify.addHook('onReady', async () => {
    await Promise.all(sources.map((source) => source.look()))
  })
  fastify.addHook('onClose', async () => {
    for (const source of sources) source.stop()
  })
}

function wait(callback: () => void, milliseconds: number): () => void {
  const timer = setTimeout(callback, milliseconds).unref()
  return () => clearTimeout(timer)
}

export default fp(discovery, { name: 'gateway-discovery', fastify: '5.x', dependencies: ['gateway-balancer'] })
