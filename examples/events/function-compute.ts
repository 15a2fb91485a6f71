import { createEventHandler } from 'fastify-gateway/events'
import { build } from './platform-app.ts'

/**
 * For Function Compute 3.0, in its Node.js runtime behind an HTTP trigger. Name `function-compute.handler` as the handler
 * of the function.
 */
export const handler = createEventHandler(await build())
