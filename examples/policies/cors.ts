import cors from '@fastify/cors'
import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

/** Browsers of one other origin may call the API; preflights are answered here and never reach the target. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(cors, {
    origin: ['https://shop.example'],
    methods: ['GET', 'HEAD', 'PUT', 'POST'],
    credentials: true
  })
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
