import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyInstance } from 'fastify'
import { InvalidFunctionError } from '../../errors.ts'
import type { AppServer } from '../app-server.ts'
import { callApp } from './call-app.ts'
import { FAILURE, headOf, type PlatformHandler } from './event-handler.ts'
import { readPlatformEvent } from './read-event.ts'
import { writePrelude } from './write-result.ts'

interface Streaming {
  readonly app: FastifyInstance
  readonly server: AppServer
  readonly decode: (event: unknown) => unknown
  /** For events that are no HTTP requests. */
  readonly whole: PlatformHandler
}

type StreamHandler = (event: unknown, output: Writable, context: unknown) => Promise<void>

/** The global of Lambda's Node.js runtimes. */
interface AwsLambda {
  streamifyResponse(handler: StreamHandler): PlatformHandler
  readonly HttpResponseStream: { from(output: Writable, prelude: object): Writable }
}

/**
 * A handler that streams. Throws InvalidFunctionError outside of Lambda.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
 */
export function streamLambda({ app, server, decode, whole }: Streaming): PlatformHandler {
  const lambda = findLambda()
  if (lambda === undefined) throw new InvalidFunctionError('only AWS Lambda has response streaming')
  return lambda.streamifyResponse(async (given, output, context) => {
    const event = decode(given)
    const request = readPlatformEvent(event)
    if (request === undefined) {
      output.end(JSON.stringify(await whole(event, context)))
      return
    }
    let isBegun = false
    try {
      const response = await callApp(server, request)
      isBegun = true
      await pipeline(response, lambda.HttpResponseStream.from(output, writePrelude(headOf(response))))
    } catch (err) {
      app.log.error({ err, method: request.method, url: request.url }, 'the application did not answer the event')
      if (isBegun) {
        // Ending it would make the response look complete.
        output.destroy(err instanceof Error ? err : new Error(String(err)))
      } else {
        await pipeline([FAILURE.body], lambda.HttpResponseStream.from(output, writePrelude(FAILURE)))
      }
    }
  })
}

function findLambda(): AwsLambda | undefined {
  const lambda: unknown = Reflect.get(globalThis, 'awslambda')
  return isLambda(lambda) ? lambda : undefined
}

function isLambda(value: unknown): value is AwsLambda {
  return typeof value === 'object' && value !== null && 'streamifyResponse' in value && 'HttpResponseStream' in value
}
