import underPressure from '@fastify/under-pressure'
import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

const LIMITS = { maxEventLoopDelay: 1_000, maxEventLoopUtilization: 0.98 }

/** Answers 503 while the gateway itself has too much to do, instead of queueing until it falls over. */
export async function build(
  targetUrl: string,
  limits: underPressure.FastifyUnderPressureOptions = LIMITS
): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(underPressure, { ...limits, retryAfter: 5 })
  await app.register(gateway, {
    upstreams: { api: { targets: [targetUrl] } },
    routes: [{ id: 'api', match: { path: '/api/*' }, upstream: 'api' }]
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = await build(process.argv[2] ?? 'http://127.0.0.1:3001')
  await app.listen({ port: 8080 })
}
