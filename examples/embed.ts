import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

/** The gateway as one plugin of an application that has routes of its own; these win over the gateway's. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  app.get('/health', async () => ({ ok: true }))
  await app.register(gateway, {
    prefix: '/api',
    upstreams: {
      users: { strategy: 'least-connections', targets: [targetUrl] }
    },
    routes: [
      // The paths of matches are below the prefix: this is /api/users and everything under it.
      { id: 'users', match: { path: '/users/*' }, upstream: 'users', rewrite: { prefix: '/v1/users' } }
    ]
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = await build(process.argv[2] ?? 'http://127.0.0.1:3001')
  await app.listen({ port: 8080 })
}
