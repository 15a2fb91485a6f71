import type { FastifyInstance } from 'fastify'
import events, { defineEventHandler, FUNCTION_COMPUTE_ADDRESS } from 'fastify-gateway/events'
import { build as buildApp } from './platform-app.ts'

const hello = defineEventHandler(() => 'hello')

/** A custom runtime of Function Compute: its events go to the function, and requests of HTTP triggers to the gateway. */
export async function build(usersUrl?: string): Promise<FastifyInstance> {
  const app = await buildApp(usersUrl)
  await app.register(events, { functions: { hello }, handler: 'hello', runtime: 'function-compute', path: false })
  return app
}

// The command of the runtime is `node function-compute-runtime.js`.
if (process.argv[1] === import.meta.filename) {
  const app = await build()
  await app.listen(FUNCTION_COMPUTE_ADDRESS)
}
