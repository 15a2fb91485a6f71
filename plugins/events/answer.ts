import { UnsupportedContentTypeError } from '../errors.ts'
import type { InvocationOrigin } from './context.ts'
import type { EventFunction } from './definition.ts'
import { errorBodyOf, statusOf } from './error-body.ts'
import { type HttpEvent, readHttpResult } from './http-event.ts'
import type { FunctionRegistry } from './registry.ts'
import { isJsonType, parseJson, writeJson } from './strict-json.ts'

/** A request for a function. */
export interface EventRequest extends InvocationOrigin {
  readonly contentType: string | undefined
  readonly body: Buffer
  /** The request as an event, for functions of mode `http`. */
  httpEvent(): HttpEvent
}

/** What a function answers. */
export interface EventAnswer {
  readonly status: number
  /** Flat pairs, names in lower case. */
  readonly headers: readonly string[]
  readonly body: Buffer
}

export interface AnswerOptions {
  /** Tell senders what functions say of their own failures, with stacks. */
  readonly exposeErrors: boolean
}

const EMPTY = Buffer.alloc(0)
const JSON_TYPE = 'application/json; charset=utf-8'

/** Has a function answer a request. Never rejects: failures are answers, too, and in the log. */
export async function answerEvent(
  registry: FunctionRegistry,
  name: string,
  request: EventRequest,
  { exposeErrors }: AnswerOptions
): Promise<EventAnswer> {
  try {
    const definition = registry.get(name)
    const event = definition.mode === 'http' ? request.httpEvent() : readEvent(definition, request)
    return answerOf(definition, await registry.invoke(name, event, request))
  } catch (error) {
    return answerFailure(error, name, request, exposeErrors)
  }
}

/** The event in a body. Throws UnsupportedContentTypeError, InvalidJsonError. */
export function readEvent(definition: EventFunction, { body, contentType }: EventRequest): unknown {
  if (definition.raw) return body
  // A handler that takes no event does not mind what comes.
  if (body.length === 0 || (!definition.takesEvent && definition.input === undefined)) return undefined
  if (!isJsonType(contentType)) throw new UnsupportedContentTypeError()
  return parseJson(body)
}

/** Throws InvalidResultError, MalformedResultError. */
export function answerOf(definition: EventFunction, result: unknown): EventAnswer {
  if (definition.mode === 'http') return readHttpResult(result)
  if (result === undefined) return { status: 204, headers: [], body: EMPTY }
  if (result instanceof Uint8Array) return withBody(200, 'application/octet-stream', Buffer.from(result))
  if (typeof result === 'string' && definition.output === undefined) {
    return withBody(200, 'text/plain; charset=utf-8', Buffer.from(result))
  }
  return withBody(200, JSON_TYPE, Buffer.from(writeJson(result)))
}

export function withBody(status: number, type: string, body: Buffer): EventAnswer {
  return { status, headers: ['content-type', type, 'content-length', String(body.length)], body }
}

export function answerFailure(error: unknown, name: string, origin: InvocationOrigin, exposed: boolean): EventAnswer {
  const status = statusOf(error)
  const details = { err: error, function: name, requestId: origin.requestId, status }
  if (status >= 500) origin.log.error(details, 'function failed')
  else origin.log.info(details, 'function refused the event')
  const body = Buffer.from(JSON.stringify(errorBodyOf(error, exposed)))
  const { headers } = withBody(status, JSON_TYPE, body)
  const type = status < 500 ? 'HandledInvocationError' : 'UnhandledInvocationError'
  return { status, headers: [...headers, 'x-fc-error-type', type], body }
}
