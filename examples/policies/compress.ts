import compress from '@fastify/compress'
import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

/** Compresses what targets send uncompressed; small bodies and those that are encoded already stay as they are. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  // Awaited, and before the gateway: it reaches only the routes that come after it.
  await app.register(compress, { threshold: 1024 })
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
