import { readFileSync, realpathSync } from 'node:fs'
import type { Server } from 'node:http'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseEnv as parseDotEnv } from 'node:util'
import closeWithGrace from 'close-with-grace'
import Fastify, { type FastifyHttpOptions, type FastifyInstance, type FastifyPluginAsync, LogController } from 'fastify'
import fp from 'fastify-plugin'
import pretty from 'pino-pretty'
import { StrategyRegistry } from './plugins/balancer/index.ts'
import { type GatewayConfig, type GatewayEnv, parseEnv, parseOptions } from './plugins/config/index.ts'
import demo, { greeting } from './plugins/demo/index.ts'
import diagnostics from './plugins/diagnostics/index.ts'
import discovery from './plugins/discovery/index.ts'
import { InvalidStrategyError, NoRouteError } from './plugins/errors.ts'
import health from './plugins/health/index.ts'
import { accessLog, printableUrl } from './plugins/middleware/index.ts'
import proxy, { answerClientError, type ProxyOptions, routeOddUrl } from './plugins/proxy/index.ts'
import { createServerFactory, drain } from './plugins/server/index.ts'
import { isWorker, joinSupervisor, Supervisor, workerId } from './plugins/workers/index.ts'

export type { Balancer, Strategy, StrategyFactory, Target } from './plugins/balancer/index.ts'
export type { GatewayConfig, GatewayOptions } from './plugins/config/index.ts'
export type { Health, HealthChange, HealthEvent } from './plugins/health/index.ts'
export type { Exchange, Layer } from './plugins/middleware/index.ts'
export { chain, compose } from './plugins/middleware/index.ts'
export type { Difference, Mirror, MirrorCounters, MirrorEvents, MirrorReport, Mirrors } from './plugins/proxy/index.ts'
export { answerClientError, routeOddUrl } from './plugins/proxy/index.ts'

/** Milliseconds that a worker which is replaced leaves idle clients their connection, or less if it may not take so long. */
const DRAIN_TIMEOUT = 2_000
const UNIX = 'unix:'

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
  if (parsed.workers > 1) shareTargets(app)
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
  return {
    logger: loggerOptions(env),
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

function loggerOptions({ logLevel, logPretty }: GatewayEnv) {
  const worker = workerId()
  const prettyOptions = {
    translateTime: 'HH:MM:ss.l',
    ignore: 'pid,hostname,worker',
    ...(worker === undefined ? {} : { messageFormat: '[worker {worker}] {msg}' })
  }
  const stream = (logPretty ?? process.stdout.isTTY === true) ? pretty(prettyOptions) : process.stdout
  const base = { pid: process.pid, hostname: hostname() }
  return { level: logLevel, stream, base: worker === undefined ? base : { ...base, worker } }
}

/** Processes that serve the same targets must not all begin with the same one, nor each know other clients. */
function shareTargets(app: FastifyInstance): void {
  const { balancers } = app
  for (const name of balancers.names) {
    if (balancers.get(name).needs.affinity?.lasting === false) {
      throw new InvalidStrategyError('sticky', `upstream '${name}' needs a secret that all workers know`)
    }
  }
  // By then DNS has been asked for targets, too.
  app.addHook('onReady', async () => balancers.startAnywhere())
}

/** Starts the demo backends; what else the environment says of the gateway holds for them as for any targets. */
async function startDemo(fastify: FastifyInstance, env: NodeJS.ProcessEnv): Promise<GatewayConfig> {
  await fastify.register(demo)
  const strategy = env.GATEWAY_STRATEGY || 'smooth-weighted-round-robin'
  const { config } = parseEnv({ ...env, GATEWAY_TARGETS: fastify.gatewayDemo, GATEWAY_STRATEGY: strategy })
  return config ?? parseOptions({ routes: [] })
}

/** Serves, alone or as a worker, or supervises workers. What stops the start is one message, and exit code 1. */
async function start(): Promise<void> {
  try {
    if (isWorker()) await serve(readVariables(), true)
    else if (parseEnv(readVariables(), knownStrategies).workers > 1) await supervise()
    else await serve(readVariables(), false)
  } catch (error) {
    process.stderr.write(`fastify-gateway: ${describe(error)}\n`)
    process.exit(1)
  }
}

async function serve(variables: NodeJS.ProcessEnv, supervised: boolean): Promise<void> {
  const { app, env } = await buildApp(variables)
  const stop = stopInPeace(app, env.shutdownTimeout, supervised ? ['SIGINT', 'SIGHUP', 'SIGTERM'] : [])
  const leave = async () => {
    app.log.info('draining')
    const drained = drain(app.server, Math.min(DRAIN_TIMEOUT, env.shutdownTimeout))
    await Promise.all([drained, supervisor?.settle()])
    stop()
  }
  const supervisor = supervised ? joinSupervisor({ drain: () => void leave(), stop }) : undefined
  const listenTextResolver = (address: string) => `Server listening at ${address.replace(/^http:/, schemeOf(env))}`
  await app.listen({ ...listenOptions(env), listenTextResolver })
  supervisor?.reportListening()
  if (env.config === undefined && (workerId() ?? 1) === 1) process.stdout.write(greet(app, env))
}

/** Runs workers until they are told to stop; what keeps the first of them from starting, it reports itself. */
async function supervise(): Promise<void> {
  const { log } = Fastify({ logger: loggerOptions(parseEnv(readVariables(), knownStrategies)) })
  const supervisor = new Supervisor(log, () => parseEnv(readVariables(), knownStrategies))
  const stop = () => void supervisor.stop().then((inPeace) => process.exit(inPeace ? 0 : 1))
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', () => void supervisor.restart())
  const failed = await supervisor.start()
  if (failed !== undefined) process.exit(failed.code ?? 1)
}

/** @returns stops as a signal does; may be called again */
function stopInPeace(app: FastifyInstance, timeout: number, skip: ('SIGINT' | 'SIGHUP' | 'SIGTERM')[]): () => void {
  const grace = closeWithGrace({ delay: false, logger: app.log, skip }, async ({ signal, err }) => {
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
  let stopping = false
  return () => {
    if (!stopping) grace.close()
    stopping = true
  }
}

/** The environment, and what `.env` adds to it; read anew each time, so that a restart sees what has changed there. */
function readVariables(): NodeJS.ProcessEnv {
  try {
    return { ...parseDotEnv(readFileSync('.env', 'utf8')), ...process.env }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return process.env
  }
}

function listenOptions({ host, port }: GatewayEnv): { path: string } | { host: string; port: number } {
  return host.startsWith(UNIX) ? { path: host.slice(UNIX.length) } : { host, port }
}

function greet(app: FastifyInstance, env: GatewayEnv): string {
  const address = app.server.address()
  if (typeof address === 'string') return greeting(address, `curl -s --unix-socket ${address} http://gateway`)
  const base = `${schemeOf(env)}//${env.host.includes(':') ? `[${env.host}]` : env.host}:${address?.port ?? env.port}`
  return greeting(base, `curl -s ${base}`)
}

function schemeOf({ server }: GatewayEnv): 'http:' | 'https:' {
  return server.tls === undefined ? 'http:' : 'https:'
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message } = error
  const [address, port] = ['address', 'port'].map((key) => String(Reflect.get(error, key)))
  if (codeOf(error) === 'EADDRINUSE' && port === 'undefined')
    return `${address} exists, and may be in use by another program`
  if (codeOf(error) === 'EADDRINUSE') return `${address}:${port} is in use by another program; set GATEWAY_PORT`
  if (codeOf(error) === 'EACCES' && port !== 'undefined') return `no permission to listen on ${address}:${port}`
  return message
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, 'code') : undefined
}

const main = process.argv[1]
if (main !== undefined && realpathSync(main) === fileURLToPath(import.meta.url)) await start()
