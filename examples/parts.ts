import Fastify, { type FastifyInstance } from 'fastify'
import balancer from 'fastify-gateway/balancer'
import middleware from 'fastify-gateway/middleware'

/** The balancer and the onion without the proxy: the application calls its targets by itself, with fetch(). */
export async function build(targetUrls: readonly string[]): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(balancer, { upstreams: { prices: { strategy: 'round-robin', targets: targetUrls } } })
  await app.register(middleware, {
    layers: [{ name: 'no-store', onSend: ({ reply }) => void reply.header('cache-control', 'no-store') }]
  })
  const prices = app.balancers.get('prices')

  app.get('/total', async (_request, reply) => {
    const target = prices.get()
    if (target === undefined) return reply.code(503).send({ error: 'No price service is available' })
    prices.acquire(target)
    try {
      const response = await fetch(`${target.url}/prices`)
      const list: unknown = await response.json()
      prices.release(target, response.ok ? 'success' : 'failure')
      return { from: target.url, prices: list }
    } catch (error) {
      prices.release(target, 'failure')
      throw error
    }
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = await build(['http://127.0.0.1:3001', 'http://127.0.0.1:3002'])
  await app.listen({ port: 8080 })
}
