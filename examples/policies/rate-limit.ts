import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

/** Two requests a minute for each client; the third is answered 429 and never reaches the target. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  // Awaited, and before the gateway: the limit reaches only the routes that come after it.
  await app.register(rateLimit, { max: 2, timeWindow: '1 minute' })
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
