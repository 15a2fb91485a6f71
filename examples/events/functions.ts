import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'
import { defineEventHandler } from 'fastify-gateway/events'
import { z } from 'zod'

/** Event and result have the types of their schemas. */
const greet = defineEventHandler(
  { input: z.object({ key: z.string() }), output: z.string() },
  ({ key }) => `hello, ${key}!`
)

/** In mode http, the event is the request, and the result the response. */
const page = defineEventHandler({ mode: 'http' }, ({ rawPath }) => ({
  statusCode: 200,
  headers: { 'content-type': 'text/plain' },
  body: `a function answers ${rawPath}`
}))

/** A gateway whose routes are served by functions and by a target, taking turns on one of them. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(gateway, {
    functions: { greet, page },
    upstreams: {
      greet: { targets: ['function:greet'] },
      mixed: { targets: ['function:page', targetUrl] }
    },
    routes: [
      { match: { path: '/greet' }, upstream: 'greet' },
      { match: { path: '/mixed/*' }, upstream: 'mixed' }
    ]
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = await build(process.argv[2] ?? 'http://127.0.0.1:3001')
  await app.listen({ port: 8080 })
}
