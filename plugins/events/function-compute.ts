import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answerEvent, answerFailure } from './answer.ts'
import type { FunctionComputeContext, LifecycleContext } from './context.ts'
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
      ...originOf(request),
      deadline: deadlineOf(request.headers)
    }
    const name = options.handler ?? registry.names[0] ?? ''
    tell('Invoke', 'Start', event)
    const answer = await answerEvent(registry, name, event, { exposeErrors: true })
    const failed = answer.status >= 400
    tell('Invoke', 'End', event, failed)
    reply.header('x-fc-status', failed ? '404' : '200')
    if (failed) return sendAnswer(reply, { ...answer, status: 404 })
    // A function without a result has null, as with the SDK for Go.
    const body = answer.status === 204 ? Buffer.from('null') : answer.body
    return sendAnswer(reply, { ...answer, status: 200, body })
  })
  serveHook(fastify, 'POST', '/initialize', 'Initialize', (context) => registry.initialize(context))
  serveHook(fastify, 'GET', '/pre-freeze', 'PreFreeze', (context) => registry.preFreeze(context))
  serveHook(fastify, 'GET', '/pre-stop', 'PreStop', (context) => registry.preStop(context))
}

const UNHANDLED = ', Error: Unhandled function error'

/** The platform finds the log of an invocation between two lines that begin so, whatever form the others have. */
function tell(stage: string, moment: 'Start' | 'End', { requestId }: { requestId: string }, failed = false): void {
  process.stdout.write(`FC ${stage} ${moment} RequestId: ${requestId}${failed ? UNHANDLED : ''}\n`)
}

function serveHook(
  fastify: FastifyInstance,
  method: 'GET' | 'POST',
  url: string,
  stage: string,
  run: (context: Partial<LifecycleContext>) => Promise<void>
): void {
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    const origin = originOf(request)
    tell(stage, 'Start', origin)
    try {
      await run(origin)
    } catch (error) {
      tell(stage, 'End', origin, true)
      reply.header('x-fc-status', '404')
      return sendAnswer(reply, { ...answerFailure(error, url, origin, true), status: 404 })
    }
    tell(stage, 'End', origin)
    return reply.header('x-fc-status', '200').send('')
  }
  fastify.route({ method, url, constraints: { controlPath: url }, handler })
}

type Strategy = Parameters<FastifyInstance['addConstraintStrategy']>[0]
type Handler = NonNullable<ReturnType<ReturnType<Strategy['storage']>['get']>>

/** Has routes told apart by `x-fc-control-path`. To be called before any of them is added. */
export function addControlPath(fastify: FastifyInstance): void {
  fastify.addConstraintStrategy({
    name: 'controlPath',
    storage() {
      const handlers = new Map<unknown, Handler>()
      return {
        get: (key) => handlers.get(key) ?? null,
        set: (key, handler) => void handlers.set(key, handler)
      }
    },
    deriveConstraint: ({ headers }) => headers['x-fc-control-path'],
    mustMatchWhenDerived: false
  })
}

function originOf(request: FastifyRequest) {
  return { requestId: requestIdOf(request), log: request.log, functionCompute: readContext(request.headers) }
}

/** Milliseconds since the epoch, as the SDK for Go reads it. */
function deadlineOf(headers: FastifyRequest['headers']): number | undefined {
  const deadline = Number(headers['x-fc-function-deadline'])
  return Number.isFinite(deadline) && deadline > 0 ? deadline : undefined
}

function requestIdOf({ headers, id }: FastifyRequest): string {
  const given = headers['x-fc-request-id']
  return typeof given === 'string' ? given : id
}

function readContext(headers: FastifyRequest['headers']): FunctionComputeContext {
  const text = (name: string) => String(headers[`x-fc-${name}`] ?? '')
  const number = (name: string) => Number(text(name)) || 0
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
