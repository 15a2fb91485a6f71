import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EventTooLargeError } from '../errors.ts'
import {
  type AnswerOptions,
  answerEvent,
  answerFailure,
  type EventAnswer,
  type EventRequest,
  readEvent
} from './answer.ts'
import type { BackgroundWork } from './background-work.ts'
import { toHttpEvent } from './http-event.ts'
import type { FunctionRegistry } from './registry.ts'

export interface RouteOptions extends AnswerOptions {
  readonly path: string
  readonly bodyLimit: number
  readonly registry: FunctionRegistry
  readonly background: BackgroundWork
}

/** Serves `POST {path}/:name`. Bodies are read here: neither Fastify's parsers nor its error shape hold. */
export async function serveFunctions(fastify: FastifyInstance, options: RouteOptions): Promise<void> {
  takeBodiesAsTheyAre(fastify, options.bodyLimit, options.exposeErrors)
  fastify.post<{ Params: { name: string } }>(`${options.path}/:name`, async (request, reply) => {
    const { name } = request.params
    const event = eventRequestOf(request, reply)
    const isAsync = String(request.headers['x-fc-invocation-type']).toLowerCase() === 'async'
    return sendAnswer(reply, isAsync ? accept(name, event, options) : await answer(name, event, options))
  })
}

function answer(name: string, event: EventRequest, options: RouteOptions): Promise<EventAnswer> {
  return answerEvent(options.registry, name, event, options)
}

/** What is wrong with the event is said at once; what comes of it, in the log only. */
function accept(name: string, event: EventRequest, options: RouteOptions): EventAnswer {
  try {
    const definition = options.registry.get(name)
    if (definition.mode === 'payload') readEvent(definition, event)
  } catch (error) {
    return answerFailure(error, name, event, options.exposeErrors)
  }
  // The client does not wait, so its leaving means nothing.
  options.background.add(answer(name, { ...event, signal: undefined }, options))
  const body = Buffer.from(JSON.stringify({ requestId: event.requestId }))
  return { status: 202, headers: ['content-type', 'application/json; charset=utf-8'], body }
}

/** Has bodies of any type arrive as Buffers, and what cannot arrive be told as functions tell it. */
export function takeBodiesAsTheyAre(fastify: FastifyInstance, bodyLimit: number, exposed: boolean): void {
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body))
  fastify.addHook('onRequest', async ({ raw }) => {
    // Fastify would refuse a type that it cannot read, in a shape of its own.
    if (raw.headers['content-type'] === undefined) raw.headers['content-type'] = 'application/octet-stream'
  })
  fastify.setErrorHandler((error, request, reply) => {
    const code = error instanceof Error ? Reflect.get(error, 'code') : undefined
    const reason = code === 'FST_ERR_CTP_BODY_TOO_LARGE' ? new EventTooLargeError(bodyLimit) : error
    return sendAnswer(reply, answerFailure(reason, request.url, { requestId: request.id, log: request.log }, exposed))
  })
}

export function eventRequestOf(request: FastifyRequest, reply: FastifyReply): EventRequest {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const { id: requestId, log, raw } = request
  return {
    requestId,
    log,
    body,
    contentType: raw.headers['content-type'],
    signal: signalOf(reply),
    httpEvent: () =>
      toHttpEvent({
        method: request.method,
        url: request.originalUrl,
        headers: raw.rawHeaders,
        body,
        sourceIp: request.ip,
        requestId
      })
  }
}

/** Aborted when the client leaves before it has its answer. */
function signalOf({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  raw.once('close', () => {
    if (!raw.writableEnded) controller.abort()
  })
  return controller.signal
}

export function sendAnswer(reply: FastifyReply, { status, headers, body }: EventAnswer): FastifyReply {
  reply.code(status)
  for (let i = 0; i < headers.length; i += 2) reply.header(headers[i] ?? '', headers[i + 1])
  return reply.send(status === 204 ? undefined : body)
}
