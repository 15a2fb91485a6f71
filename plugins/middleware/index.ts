import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { accessLog } from './access-log.ts'
import type { Exchange } from './exchange.ts'
import { onionHooks } from './hooks.ts'
import type { Onion } from './onion.ts'
import { MiddlewareRegistry } from './registry.ts'
import { requestId } from './request-id.ts'
import type { Layer } from './types.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The layers of this scope. */
    middleware: MiddlewareRegistry
  }

  interface FastifyContextConfig {
    /** Set on the routes of a gateway. */
    gateway?: boolean
  }
  interface FastifyRequest {
    /** The exchange of the request; null where no layers run. */
    exchange: Exchange | null
  }
}

export interface MiddlewareOptions {
  /** Layers to put into use for every route, in order. @default [] */
  layers?: readonly Layer[]
  /** Whether to run the layers for every Fastify route of the scope. @default true */
  hooks?: boolean
}

const middleware: FastifyPluginAsync<MiddlewareOptions> = async (fastify, options) => {
  const { layers = [], hooks = true } = options
  // Layers that run on all routes around this scope run on those of a gateway inside it too.
  const around = fastify.hasDecorator('middleware') ? fastify.middleware : undefined
  const registry = new MiddlewareRegistry(around?.hooked ? around : undefined)
  registry.hooked = hooks
  for (const layer of [requestId(), accessLog()]) registry.add(layer)
  registry.use(layers)

  fastify.decorate('middleware', registry)
  if (!fastify.hasRequestDecorator('exchange')) fastify.decorateRequest('exchange', null)
  fastify.addHook('onReady', async () => registry.seal())

  if (hooks) {
    const { onRequest, onSend } = onionHooks(byRoute(registry))
    fastify.addHook('onRequest', onRequest)
    fastify.addHook('onSend', onSend)
  }
}

/** Tells the onion of a Fastify route, built when the route is first asked for. */
function byRoute(registry: MiddlewareRegistry): (request: FastifyRequest) => Onion | undefined {
  const onions = new Map<string | undefined, Onion | undefined>()
  return (request) => {
    // A gateway runs them itself, once it knows its own route.
    if (registry.servesGateway && request.routeOptions.config.gateway === true) return undefined
    // Fastify builds `routeOptions` anew each time it is read.
    const url = registry.scoped ? request.routeOptions.url : undefined
    const onion = onions.get(url)
    if (onion !== undefined || onions.has(url)) return onion
    const built = registry.resolve(url)
    onions.set(url, built)
    return built
  }
}

export default fp(middleware, { name: 'gateway-middleware', fastify: '5.x' })

export { type AccessLogOptions, accessLog, printableUrl } from './access-log.ts'
export { isComplete, whenClosed } from './closed.ts'
export { type Chain, type Composed, chain, compose } from './compose.ts'
export { Exchange } from './exchange.ts'
export { type OnionHooks, onionHooks } from './hooks.ts'
export { streamOf } from './http2-stream.ts'
export { Onion } from './onion.ts'
export { MiddlewareRegistry, type UseOptions } from './registry.ts'
export { type RequestIdOptions, requestId } from './request-id.ts'
export type { Layer, LayerFunction, LayerGroup, LayerPair, NamedLayer, Next, SingleLayer } from './types.ts'
