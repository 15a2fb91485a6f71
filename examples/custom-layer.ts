import Fastify, { type FastifyInstance } from 'fastify'
import gateway, { type Layer } from 'fastify-gateway'

/** An onion function: before `next()` the request is on its way in, after it the response is on its way out. */
const serverTiming: Layer = async (exchange, next) => {
  const start = performance.now()
  await next()
  exchange.reply.header('server-timing', `gateway;dur=${(performance.now() - start).toFixed(1)}`)
}

/** A pair of hooks: a layer that answers in its request half ends the way in. */
const apiKey: Layer = {
  name: 'api-key',
  onRequest({ request, reply }) {
    if (request.headers['x-api-key'] !== 'only for this example') reply.code(401).send({ error: 'API key missing' })
  }
}

/** Every route is timed; only the private one asks for a key. */
export async function build(targetUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(gateway, {
    upstreams: { api: { targets: [targetUrl] } },
    routes: [
      { id: 'public', match: { path: '/public/*' }, upstream: 'api' },
      { id: 'private', match: { path: '/private/*' }, upstream: 'api' }
    ]
  })
  app.middleware.use(serverTiming)
  app.middleware.use(apiKey, { routes: ['private'] })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = await build(process.argv[2] ?? 'http://127.0.0.1:3001')
  await app.listen({ port: 8080 })
}
