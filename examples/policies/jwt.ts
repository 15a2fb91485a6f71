import jwt from '@fastify/jwt'
import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

/** Only requests that carry a valid token are forwarded; the token goes on to the target. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(jwt, { secret: process.env.JWT_SECRET ?? 'only for this example' })
  app.addHook('onRequest', async (request) => {
    await request.jwtVerify()
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
