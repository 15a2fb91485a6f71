import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answerEvent, answerFailure } from './answer.ts'
import type { FunctionComputeContext } from './context.ts'
import type { FunctionRegistry } from './registry.ts'
import { eventRequestOf, sendAnswer, takeBodiesAsTheyAre } from './routes.ts'

export interface FunctionComputeOptions {
  readonly registry: FunctionRegistry
  /** The function that /invoke calls; undefined = the first one. */
  readonly handler: string | undefined
  readonly bodyLimit: number
}

/** Where Function Compute connects to; on 127.0.0.1 it would find nobody. */
export const FUNCTION_COMPUTE_ADDRESS = { host: '0.0.0.0', port: 9000 } as const

/**
 * Serves the protocol of Function Compute's custom runtimes: /invoke, /initialize, /pre-freeze and /pre-stop, each only
 * where `x-fc-control-path` names it; what else comes to these paths is for the other routes of the app.
 */
export async function serveFunctionCompute(fastify: FastifyInstance, options: FunctionComputeOptions): Promise<void> {
  const { registry } = options
  takeBodiesAsTheyAre(fastify, options.bodyLimit, true)
  fastify.post('/invoke', { constraints: { controlPath: '/invoke' } }, async (request, reply) => {
    const event = {
      ...eventRequestOf(request, reply),
      requestId: requestIdOf(request),
      functionCompute: readContext(request.headers)
    }
    const name = options.handler ?? registry.names[0] ?? ''
    request.log.info(`FC Invoke Start RequestId: ${event.requestId}`)
    const answer = await answerEvent(registry, name, event, { exposeErrors: true })
    const failed = answer.status >= 400
    const outcome = failed ? ', Error: Unhandled function error' : ''
    request.log.info(`FC Invoke End RequestId: ${event.requestId}${outcome}`)
    reply.header('x-fc-status', failed ? '404' : '200')
    if (failed) return sendAnswer(reply, { ...answer, status: 404 })
    // A function without a result has null, as with the SDK for Go.
    const body = answer.status === 204 ? Buffer.from('null') : answer.body
    return sendAnswer(reply, { ...answer, status: 200, body })
  })
  serveHook(fastify, 'POST', '/initialize', () => registry.initialize())
  serveHook(fastify, 'GET', '/pre-freeze', () => registry.preFreeze())
  serveHook(fastify, 'GET', '/pre-stop', () => registry.preStop())
}

function serveHook(fastify: FastifyInstance, method: 'GET' | 'POST', url: string, run: () => Promise<void>): void {
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    try {
      await run()
      return reply.header('x-fc-status', '200').send('')
    } catch (error) {
      reply.header('x-fc-status', '404')
      const origin = { requestId: requestIdOf(request), log: request.log }
      return sendAnswer(reply, { ...answerFailure(error, url, origin, true), status: 404 })
    }
  }
  fastify.route({ method, url, constraints: { controlPath: url }, handler })
}

/** Has routes told apart by `x-fc-control-path`. To be called before any of them is added. */
export function addControlPath(fastify: FastifyInstance): void {
  fastify.addConstraintStrategy({
    name: 'controlPath',
    storage() {
      const handlers = new Map<unknown, unknown>()
      return {
        get: (key: unknown) => handlers.get(key) ?? null,
        set: (key: unknown, store: unknown) => void handlers.set(key, store)
      }
    },
    deriveConstraint: ({ headers }: { headers: Record<string, unknown> }) => headers['x-fc-control-path'],
    mustMatchWhenDerived: false
  } as Parameters<FastifyInstance['addConstraintStrategy']>[0])
}

function requestIdOf({ headers, id }: FastifyRequest): string {
  const given = headers['x-fc-request-id']
  return typeof given === 'string' ? given : id
}

function readContext(headers: FastifyRequest['headers']): FunctionComputeContext {
  const text = (name: string) => String(headers[`x-fc-${name}`] ?? '')
  const number = (name: string) => Number(headers[`x-fc-${name}`] ?? 0)
  return {
    credentials: {
      accessKeyId: text('access-key-id'),
      accessKeySecret: text('access-key-secret'),
      securityToken: text('security-token')
    },
    function: {
      name: text('function-name'),
      handler: text('function-handler'),
      memory: number('function-memory'),
      timeout: number('function-timeout')
    },
    service: {
      name: text('service-name'),
      logProject: text('service-logproject'),
      logStore: text('service-logstore'),
      qualifier: text('qualifier'),
      versionId: text('version-id')
    },
    region: text('region'),
    accountId: text('account-id'),
    retryCount: number('retry-count'),
    tracing: {
      openTracingSpanContext: text('tracing-opentracing-span-context'),
      openTracingSpanBaggages: text('tracing-opentracing-span-baggages'),
      jaegerEndpoint: text('tracing-jaeger-endpoint')
    }
  }
}
