import { realpathSync } from 'node:fs'
import type { Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import closeWithGrace from 'close-with-grace'
import Fastify, { type FastifyHttpOptions, type FastifyInstance, type FastifyPluginAsync, LogController } from 'fastify'
import fp from 'fastify-plugin'
import pretty from 'pino-pretty'
import { StrategyRegistry } from './plugins/balancer/index.ts'
import { type GatewayConfig, type GatewayEnv, parseEnv, parseOptions } from './plugins/config/index.ts'
import demo from './plugins/demo/index.ts'
import diagnostics from './plugins/diagnostics/index.ts'
import discovery from './plugins/discovery/index.ts'
import { NoRouteError } from './plugins/errors.ts'
import health from './plugins/health/index.ts'
import { accessLog, printableUrl } from './plugins/middleware/index.ts'
import proxy, { answerClientError, type ProxyOptions, routeOddUrl } from './plugins/proxy/index.ts'
import { createServerFactory } from './plugins/server/index.ts'

export type { Balancer, Strategy, StrategyFactory, Target } from './plugins/balancer/index.ts'
export type { GatewayConfig, GatewayOptions } from './plugins/config/index.ts'
export type { Health, HealthChange, HealthEvent } from './plugins/health/index.ts'
export type { Exchange, Layer } from './plugins/middleware/index.ts'
export { chain, compose } from './plugins/middleware/index.ts'
export type { Difference, Mirror, MirrorCounters, MirrorEvents, MirrorReport, Mirrors } from './plugins/proxy/index.ts'
export { answerClientError, routeOddUrl } from './plugins/proxy/index.ts'

const knownStrategies = new StrategyRegistry().names

/** Options of the gateway as a plugin. Without upstreams, routes and config, the `GATEWAY_*` variables are read. */
export type GatewayPluginOptions = ProxyOptions

/**
 * The whole suite as one plugin: balancers, middleware and proxy. Decorates `app.balancers`, `app.health` and `app.middleware`.
 * Throws InvalidConfigError with every fault of the configuration, at boot.
 */
const gateway: FastifyPluginAsync<GatewayPluginOptions> = async (fastify, options) => {
  const configured = options.config ?? options.upstreams ?? options.routes
  if (configured !== undefined) {
    const { upstreams } = options
    await fastify.register(proxy, options)
    await fastify.register(discovery, { config: options.config, upstreams })
    await fastify.register(health, { config: options.config, upstreams })
    return
  }
  const env = parseEnv(process.env, [...knownStrategies, ...(options.strategies ?? []).map(({ name }) => name)])
  const config = env.config ?? (await startDemo(fastify, process.env))
  await fastify.register(proxy, { ...options, config, layers: layersOf(env, options) })
  await fastify.register(discovery, { config })
  await fastify.register(health, { config })
}

export default fp(gateway, { name: 'fastify-gateway', fastify: '5.x' })

/** A stand-alone gateway, not yet listening, as the variables in `env` describe it. */
export async function buildApp(
  env: NodeJS.ProcessEnv = process.env
): Promise<{ app: FastifyInstance; env: GatewayEnv }> {
  const parsed = parseEnv(env, knownStrategies)
  const app = Fastify(serverOptions(parsed, parsed.config?.trustedProxies ?? []))
  const config = parsed.config ?? (await startDemo(app, env))
  app.setNotFoundHandler((request, reply) => {
    // `OPTIONS *` asks what the server itself can do, not any resource (RFC 9110, section 9.3.7).
    if (request.url === '*' && request.method === 'OPTIONS') return reply.code(204).send()
    const [path = ''] = request.originalUrl.split('?', 1)
    return reply.send(new NoRouteError(request.method, printableUrl(path)))
  })
  app.server.on('sessionError', (err) => app.log.debug({ err }, 'a connection of HTTP/2 ended with an error'))
  await app.register(diagnostics, parsed.diagnostics)
  await app.register(proxy, { config, layers: layersOf(parsed, {}), closeTimeout: parsed.shutdownTimeout })
  await app.register(discovery, { config })
  await app.register(health, { config })
  return { app, env: parsed }
}

/** Leaves the lines about requests that went well to the access log. */
class FailureLog extends LogController {
  override incomingRequest(): void {}
  override requestCompleted(...[error, request, reply]: Parameters<LogController['requestCompleted']>): void {
    if (error) super.requestCompleted(error, request, reply)
  }
}

function layersOf(env: GatewayEnv, { layers = [] }: GatewayPluginOptions): NonNullable<ProxyOptions['layers']> {
  return env.accessLog ? [accessLog(), ...layers] : layers
}

function serverOptions(env: GatewayEnv, trustedProxies: string[]): FastifyHttpOptions<Server> {
  // Fastify knows no peers without an address.
  const addresses = trustedProxies.filter((trusted) => trusted !== 'unix')
  const prettyLogs = env.logPretty ?? process.stdout.isTTY === true
  const stream = prettyLogs ? pretty({ translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' }) : process.stdout
  return {
    logger: { level: env.logLevel, stream },
    logController: new FailureLog(),
    clientErrorHandler: answerClientError,
    frameworkErrors: routeOddUrl,
    // As the gateway's own routes are matched.
    routerOptions: { ignoreDuplicateSlashes: true },
    serverFactory: createServerFactory(env.server),
    trustProxy: addresses.length === 0 ? false : addresses,
    // While closing, requests on connections that stand already are still served.
    return503OnClosing: false
  }
}

/** Starts the demo backends; what else the environment says of the gateway holds for them as for any targets. */
async function startDemo(fastify: FastifyInstance, env: NodeJS.ProcessEnv): Promise<GatewayConfig> {
  await fastify.register(demo)
  const strategy = env.GATEWAY_STRATEGY || 'smooth-weighted-round-robin'
  const { config } = parseEnv({ ...env, GATEWAY_TARGETS: fastify.gatewayDemo, GATEWAY_STRATEGY: strategy })
  return config ?? parseOptions({ routes: [] })
}

/** Builds, listens, and stops in peace on SIGTERM and SIGINT. What stops the start is one message, and exit code 1. */
async function start(): Promise<void> {
  try {
    loadDotEnv()
    const { app, env } = await buildApp()
    const listenTextResolver = (address: string) => `Server listening at ${address.replace(/^http:/, schemeOf(env))}`
    await app.listen({ host: env.host, port: env.port, listenTextResolver })
    stopInPeace(app, env.shutdownTimeout)
    if (env.config === undefined) process.stdout.write(greeting(app, env))
  } catch (error) {
    process.stderr.write(`fastify-gateway: ${describe(error)}\n`)
    process.exit(1)
  }
}

function stopInPeace(app: FastifyInstance, timeout: number): void {
  closeWithGrace({ delay: false, logger: app.log }, async ({ signal, err }) => {
    if (err !== undefined) app.log.fatal(err, 'stopping after an error nobody caught')
    else app.log.info({ signal }, 'stopping')
    const closed = app.close()
    const late = setTimeout(() => {
      app.log.warn({ timeout }, 'exchanges still under way are cut')
      app.server.closeAllConnections()
    }, timeout)
    await closed
    clearTimeout(late)
  })
}

function loadDotEnv(): void {
  try {
    process.loadEnvFile()
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

function greeting(app: FastifyInstance, env: GatewayEnv): string {
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : env.port
  const base = `${schemeOf(env)}//${env.host.includes(':') ? `[${env.host}]` : env.host}:${port}`
  return `
The gateway listens on ${base} with three demo backends, weights 5, 1, 1. Try:

  # smooth weighted round robin: alpha alpha beta alpha gamma alpha alpha
  for i in 1 2 3 4 5 6 7; do curl -s ${base}/ | cut -d'"' -f4; done

  # what the target sees of your headers
  curl -s ${base}/headers -H 'x-hello: world'

  # a body
  curl -s ${base}/upload -d 'some data'

GATEWAY_TARGETS or GATEWAY_CONFIG put your own services behind it, see .env.example.

`
}

function schemeOf({ server }: GatewayEnv): 'http:' | 'https:' {
  return server.tls === undefined ? 'http:' : 'https:'
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message } = error
  const [address, port] = ['address', 'port'].map((key) => String(Reflect.get(error, key)))
  if (codeOf(error) === 'EADDRINUSE') return `${address}:${port} is in use by another program; set GATEWAY_PORT`
  if (codeOf(error) === 'EACCES' && port !== 'undefined') return `no permission to listen on ${address}:${port}`
  return message
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : undefined
}

const main = process.argv[1]
if (main !== undefined && realpathSync(main) === fileURLToPath(import.meta.url)) await start()
