import { timingSafeEqual } from 'node:crypto'
import basicAuth from '@fastify/basic-auth'
import Fastify, { type FastifyInstance } from 'fastify'
import gateway from 'fastify-gateway'

/** One user may pass; everybody else is asked for a password. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(basicAuth, { validate, authenticate: { realm: 'gateway' } })
  app.addHook('onRequest', (request, reply, done) => app.basicAuth(request, reply, done))
  await app.register(gateway, {
    upstreams: { api: { targets: [targetUrl] } },
    routes: [{ id: 'api', match: { path: '/api/*' }, upstream: 'api' }]
  })
  return app
}

async function validate(user: string, password: string): Promise<void> {
  const expected = process.env.GATEWAY_PASSWORD ?? 'only for this example'
  if (user !== 'gate' || !isEqual(password, expected)) throw new Error('Wrong user or password')
}

/** Takes as long for a near miss as for a hit, so that the time tells nothing. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

if (process.argv[1] === import.meta.filename) {
  const app = await build(process.argv[2] ?? 'http://127.0.0.1:3001')
  await app.listen({ port: 8080 })
}
