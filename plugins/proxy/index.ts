import { METHODS } from 'node:http'
import { performance } from 'node:perf_hooks'
import replyFrom from '@fastify/reply-from'
import type {
  FastifyInstance,
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  onRequestHookHandler,
  onSendHookHandler
} from 'fastify'
import fp from 'fastify-plugin'
import balancer, { type StrategyFactory } from '../balancer/index.ts'
import { type GatewayConfig, type GatewayOptions, parseOptions } from '../config/index.ts'
import { UnknownRouteError } from '../errors.ts'
import type { EventFunction } from '../events/index.ts'
import middleware, { type Layer } from '../middleware/index.ts'
import { linkFailovers } from './forwarding/failover.ts'
import { Hedging } from './forwarding/hedging.ts'
import { RequestQueue } from './forwarding/request-queue.ts'
import { RetryPolicy } from './forwarding/retry-policy.ts'
import type { UpstreamRuntime } from './forwarding/types.ts'
import { continueOnRead } from './front/expectation.ts'
import { answerUnroutable } from './front/unroutable.ts'
import { Gateway } from './gateway.ts'
import { GatewayExchange } from './gateway-exchange.ts'
import { createHookCheck } from './hook-check.ts'
import { CONNECTION_FIELDS } from './http2-fields.ts'
import { addInProcess, checkInProcess, eventsOf } from './in-process-targets.ts'
import { Mirrors } from './mirroring/mirrors.ts'
import { mountPoints } from './routing/mount-points.ts'
import { createSeam } from './seam.ts'
import { warnOfNeeds } from './strategy-needs.ts'
import { AppTransport, FunctionTransport, Http1Transport, Http2Transport, TargetTransport } from './transport/index.ts'
import { serveUpgrades } from './upgrade/serve-upgrades.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The mirrors of this scope, what became of their requests, and how their responses differ. */
    mirrors: Mirrors
  }
}

/** Options of the proxy: the configuration, and what only code can give. */
export interface ProxyOptions extends GatewayOptions {
  /** Path under which all routes live. @default '' */
  prefix?: string
  /** Layers for every route of this gateway's scope, the outermost first. @default [] */
  layers?: readonly Layer[]
  /** Strategies beside the built-in ones. @default [] */
  strategies?: readonly StrategyFactory[]
  /** Event functions for targets `function:NAME`. @default {} */
  functions?: Readonly<Record<string, EventFunction>>
  /** Other applications of this process for targets `app:NAME`. @default {} */
  apps?: Readonly<Record<string, FastifyInstance>>
  /** Milliseconds that tunnels, such as WebSockets, get for their closing handshake when the app closes. @default 5000 */
  closeTimeout?: number
  /** A configuration that was parsed already; upstreams, routes and the rest are not looked at then. */
  config?: GatewayConfig
}

/** CONNECT asks for a tunnel, not for a resource; Node does not even route it. */
const ROUTED_METHODS = METHODS.filter((method) => method !== 'CONNECT')
const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;|$)/

/**
 * Forwards the requests of its routes to their upstreams. Brings its own balancers and middleware registry where the
 * scope has none. Throws InvalidConfigError and what the balancers throw, at boot.
 */
const proxy: FastifyPluginAsync<ProxyOptions> = async (fastify, options) => {
  const { prefix, layers = [], strategies = [], closeTimeout = 5_000 } = options
  const bringsUpstreams = options.config !== undefined || options.upstreams !== undefined
  // A gateway that brings no upstreams of its own uses those of the scopes around it.
  const shares = bringsUpstreams ? Object.hasOwn(fastify, 'balancers') : fastify.hasDecorator('balancers')
  if (!shares) await fastify.register(balancer, { strategies })
  else for (const strategy of strategies) fastify.balancers.strategies.add(strategy)
  await addInProcess(fastify, { functions: options.functions ?? {}, apps: options.apps ?? {} })
  if (!Object.hasOwn(fastify, 'middleware')) await fastify.register(middleware, { hooks: false })
  if (!Object.hasOwn(fastify, 'mirrors')) fastify.decorate('mirrors', new Mirrors())
  for (const layer of layers) fastify.middleware.use(layer)

  const shared = new Set(fastify.balancers.names)
  const own = new Set(Object.keys(options.config?.upstreams ?? options.upstreams ?? {}))
  const config = options.config ?? readConfig(options, shared)
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    if (own.has(name) || !shared.has(name)) fastify.balancers.add(name, upstream)
  }
  await fastify.register(async (inner: FastifyInstance) => serveRoutes(inner, config, closeTimeout), {
    prefix: prefix ?? ''
  })
}

function readConfig(options: ProxyOptions, shared: ReadonlySet<string>): GatewayConfig {
  const { upstreams, routes, trustedProxies, server } = options
  const given: GatewayOptions = {}
  if (routes !== undefined) given.routes = routes
  if (trustedProxies !== undefined) given.trustedProxies = trustedProxies
  if (server !== undefined) given.server = server
  // Upstreams that are there already may be named by routes; all but their targets and strategy is as by default.
  given.upstreams = { ...Object.fromEntries([...shared].map((name) => [name, {}])), ...upstreams }
  return parseOptions(given)
}

/** Everything below lives in a scope of its own: routes, hooks and body handling touch nothing else of the app. */
async function serveRoutes(fastify: FastifyInstance, config: GatewayConfig, closeTimeout: number): Promise<void> {
  const now = () => performance.now()
  const events = eventsOf(fastify)
  const upstreams = new Map<string, UpstreamRuntime>()
  for (const [name, { timeouts, retry, queue: queueOptions, hedge, http2, tls, hashKey, failover }] of Object.entries(
    config.upstreams
  )) {
    const balancer = fastify.balancers.get(name)
    warnOfNeeds(fastify.log, name, balancer.needs, hashKey)
    const queue = new RequestQueue(queueOptions)
    balancer.observe({ onAdd: () => queue.wake(), onChange: () => queue.wake() })
    upstreams.set(name, {
      name,
      balancer,
      transport: new TargetTransport({
        network: http2 ? new Http2Transport(tls, now) : new Http1Transport(tls, now),
        functions: new FunctionTransport(events),
        apps: new AppTransport(events, now)
      }),
      timeouts,
      retry: new RetryPolicy(retry, { now, random: Math.random, date: Date.now }, failover !== undefined),
      queue,
      hedging: hedge.enabled ? new Hedging(hedge.quantile) : undefined,
      failover: undefined
    })
  }
  linkFailovers(upstreams, config.upstreams)
  const gateway = new Gateway({
    config,
    upstreams,
    mount: fastify.prefix,
    now,
    random: Math.random,
    isHooked: createHookCheck('gatewayOnSend'),
    maxRawHeaders: maxRawHeaders(fastify.server),
    mirrors: fastify.mirrors,
    log: fastify.log
  })

  const seam = createSeam(gateway, () => {
    for (const { transport } of upstreams.values()) transport.destroy()
  })
  await fastify.register(replyFrom, seam.options)
  // The body goes to the target as it came: nobody parses it here.
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  const { onRequest, onSend } = createHooks(gateway)
  fastify.addHook('onRequest', onRequest)
  fastify.addHook('onSend', onSend)
  fastify.addHook('onReady', async () => {
    for (const { balancer } of upstreams.values())
      for (const target of balancer.targets) checkInProcess(target, events())
    resolveLayers(fastify, gateway)
  })
  fastify.addHook('onClose', async () => gateway.close())

  continueOnRead(fastify)
  answerUnroutable(fastify)

  const method = supportMethods(fastify)
  const handler = (request: FastifyRequest, reply: FastifyReply) => {
    const { exchange } = request
    const redirect = exchange instanceof GatewayExchange ? exchange.matched?.redirect : undefined
    if (!(exchange instanceof GatewayExchange)) reply.callNotFound()
    else if (redirect !== undefined) gateway.redirect(exchange, redirect)
    else reply.from('/', seam.call)
  }
  const { upgrades } = gateway
  if (config.routes.some(({ upgrade }) => upgrade)) {
    serveUpgrades(fastify, { upgrades, claims: (message) => gateway.claims(message), handler, limit: closeTimeout })
  }
  // `decompress`: @fastify/compress would hand on a body without the coding that its header still names.
  const route = { method, exposeHeadRoute: false, decompress: false, config: { gateway: true }, handler } as const
  for (const url of mountPoints(config.routes)) {
    fastify.route({ ...route, url })
    // Fastify's wildcard does not match the prefix itself.
    if (url === '/*' && fastify.prefix !== '') fastify.route({ ...route, url: '/', prefixTrailingSlash: 'no-slash' })
  }
}

function createHooks(gateway: Gateway): { onRequest: onRequestHookHandler; onSend: onSendHookHandler<unknown> } {
  return {
    onRequest: function gatewayOnRequest(request, reply, done) {
      let exchange: GatewayExchange | undefined
      try {
        exchange = gateway.match(request, reply)
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
        return
      }
      if (exchange === undefined) {
        reply.callNotFound()
        return
      }
      // Fastify would answer 415 to a type it cannot read; here it only has to let the body pass.
      const { headers } = request.raw
      if (headers['content-type'] !== undefined && !CONTENT_TYPE.test(headers['content-type'])) {
        headers['content-type'] = 'application/octet-stream'
      }
      request.exchange = exchange
      const onion = exchange.matched?.onion
      if (onion === undefined) done()
      else onion.enter(exchange, done)
    },
    onSend: function gatewayOnSend(request, reply, payload, hookDone) {
      const passage = request.exchange?.onion
      const done = request.raw.httpVersionMajor === 2 ? asHttp2(reply, hookDone) : hookDone
      if (passage === undefined) done(null, payload)
      else passage.leave(payload, done)
    }
  }
}

/** Hooks and layers may set headers of a connection, knowing nothing of HTTP/2, at which Node.js would throw. */
function asHttp2<Done extends (error: Error | null, payload?: unknown) => void>(reply: FastifyReply, done: Done) {
  return (error: Error | null, payload?: unknown) => {
    for (const name of CONNECTION_FIELDS) reply.removeHeader(name)
    done(error, payload)
  }
}

/** Builds the onion of every route, once all plugins had their chance to bring layers. */
function resolveLayers(fastify: FastifyInstance, gateway: Gateway): void {
  const ids = gateway.routes.map(({ id }) => id)
  fastify.middleware.declareRoutes(ids)
  const unknown = fastify.middleware.unknownRoutes()
  if (unknown.length > 0) throw new UnknownRouteError(unknown.join(', '), ids.join(', '))
  for (const route of gateway.routes) route.onion = fastify.middleware.resolve(route.id, route.config.middleware)
}

/** How long `rawHeaders` can get; Node.js keeps 1,000 headers unless the server says otherwise, where 0 means any number. */
function maxRawHeaders({ maxHeadersCount }: { readonly maxHeadersCount?: number | null }): number {
  if (typeof maxHeadersCount !== 'number') return 2_000
  return maxHeadersCount === 0 ? Number.POSITIVE_INFINITY : maxHeadersCount * 2
}

/** All methods that can be forwarded; those that Fastify does not know yet are made known to it. */
function supportMethods(fastify: FastifyInstance): string[] {
  for (const method of ROUTED_METHODS) {
    if (!fastify.supportedMethods.includes(method)) fastify.addHttpMethod(method, { hasBody: true })
  }
  return ROUTED_METHODS
}

export default fp(proxy, { name: 'gateway-proxy', fastify: '5.x' })
export type { Exchange } from '../middleware/index.ts'
export { answerClientError } from './front/client-error.ts'
export { routeOddUrl } from './front/odd-url.ts'
export type { Difference } from './mirroring/comparison.ts'
export type { Mirror, MirrorCounters } from './mirroring/mirror.ts'
export type { MirrorEvents, MirrorReport, Mirrors } from './mirroring/mirrors.ts'
