import helmet from '@fastify/helmet'
import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

/** Security headers on every response; those that a target sets by itself are kept. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(helmet)
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
