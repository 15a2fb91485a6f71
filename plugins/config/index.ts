import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { parseOptions } from './parse.ts'
import type { GatewayConfig, GatewayOptions } from './schema.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The validated configuration; deeply frozen. */
    gatewayConfig: GatewayConfig
  }
}

/** Either the snapshot that was made before, or the options of which to make it. */
export type ConfigOptions = { config: GatewayConfig } | GatewayOptions

const config: FastifyPluginAsync<ConfigOptions> = async (fastify, options) => {
  fastify.decorate('gatewayConfig', 'config' in options ? options.config : parseOptions(options))
}

export { type GatewayEnv, parseEnv } from './env.ts'
export type { ConfigFault } from './faults.ts'
export { loadConfigFile } from './load.ts'
export { parseOptions } from './parse.ts'
export type { PathMatch, ValueMatch } from './route-values.ts'
export type {
  DiagnosticsConfig,
  GatewayConfig,
  GatewayOptions,
  HeaderRules,
  RouteConfig,
  ServerConfig,
  TargetConfig,
  UpstreamConfig
} from './schema.ts'
export type { HashKey, RetryCondition } from './upstream-schema.ts'

export default fp(config, { name: 'gateway-config', fastify: '5.x' })
