import { createEventHandler } from 'fastify-gateway/events'
import { build } from './platform-app.ts'

/**
 * For AWS Lambda, behind a REST API, an HTTP API, a function URL or a load balancer: the form is seen from each event.
 * Name `lambda.handler` as the handler of the function.
 */
export const handler = createEventHandler(await build())
