import { createEventHandler } from 'fastify-gateway/events'
import { build } from './platform-app.ts'

/**
 * For AWS Lambda behind a function URL whose invoke mode is RESPONSE_STREAM: responses leave as they come. Name
 * `lambda-stream.handler` as the handler of the function.
 */
export const handler = createEventHandler(await build(), { stream: true })
