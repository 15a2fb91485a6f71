import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { UnsupportedEventError } from '../../errors.ts'
import { AppServer } from '../app-server.ts'
import { parseJson } from '../strict-json.ts'
import { callApp, readBody } from './call-app.ts'
import { readPlatformEvent } from './read-event.ts'
import { streamLambda } from './stream-lambda.ts'
import type { PlatformRequest, PlatformResult } from './types.ts'
import { writePlatformResult } from './write-result.ts'

export interface EventHandlerOptions {
  /**
   * What to do with an event that is no HTTP request, of a timer or a queue: the result is what it returns.
   * @default UnsupportedEventError
   */
  onOtherEvent?: (event: unknown, context: unknown) => unknown
  /** Send responses as they come, where AWS Lambda has response streaming; elsewhere they are sent whole. @default false */
  stream?: boolean
}

/** What a platform calls with an event: the result, or its promise. */
export type PlatformHandler = (event: unknown, context?: unknown) => Promise<unknown>

/**
 * Turns a whole application into one event handler, for HTTP triggers of Function Compute 3.0 and for AWS Lambda behind
 * API Gateway (payload formats 1.0 and 2.0), function URLs and load balancers. The form is seen from each event.
 */
export function createEventHandler(app: FastifyInstance, options: EventHandlerOptions = {}): PlatformHandler {
  const server = new AppServer(app)
  const handler: PlatformHandler = async (given, context) => {
    const event = decode(given)
    const request = readPlatformEvent(event)
    if (request !== undefined) return answer(app, server, request)
    if (options.onOtherEvent === undefined) throw new UnsupportedEventError()
    await app.ready()
    return options.onOtherEvent(event, context)
  }
  return options.stream === true ? streamLambda({ app, server, decode, whole: handler }) : handler
}

/** Function Compute hands over events as bytes. */
function decode(event: unknown): unknown {
  if (event instanceof Uint8Array) return parseJson(event)
  return typeof event === 'string' ? parseJson(Buffer.from(event)) : event
}

async function answer(app: FastifyInstance, server: AppServer, request: PlatformRequest): Promise<PlatformResult> {
  try {
    const response = await callApp(server, request)
    return writePlatformResult(request.format, { ...headOf(response), body: await readBody(response) })
  } catch (err) {
    app.log.error({ err, method: request.method, url: request.url }, 'the application did not answer the event')
    return writePlatformResult(request.format, FAILURE)
  }
}

export function headOf({ statusCode = 500, statusMessage = '', rawHeaders }: IncomingMessage) {
  return { status: statusCode, reason: statusMessage, headers: rawHeaders }
}

/** What is answered where the application does not answer. */
export const FAILURE = {
  status: 500,
  reason: 'Internal Server Error',
  headers: ['content-type', 'application/json; charset=utf-8'],
  body: Buffer.from('{"statusCode":500,"error":"Internal Server Error","message":"Internal Server Error"}')
}
