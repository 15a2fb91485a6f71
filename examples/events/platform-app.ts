import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

/** The gateway that the handler files of this directory put on a platform. */
export async function build(usersUrl = process.env.USERS_URL ?? 'http://127.0.0.1:3001'): Promise<FastifyInstance> {
  const app = Fastify()
  app.get('/health', async () => ({ ok: true }))
  await app.register(gateway, {
    upstreams: { users: { targets: [usersUrl] } },
    routes: [{ match: { path: '/users/*' }, upstream: 'users' }]
  })
  return app
}
