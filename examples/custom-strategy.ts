import Fastify, { type FastifyInstance } from 'fastify'
import gateway, { type StrategyFactory, type Target } from 'fastify-gateway'

/** Always the first target that can be used, in the order of the configuration. */
export const firstAvailable: StrategyFactory = {
  name: 'first-available',
  create(_options, { now }) {
    const targets: Target[] = []
    return {
      add: (target) => void targets.push(target),
      remove: (target) => void targets.splice(targets.indexOf(target), 1),
      get: (context) => targets.find((target) => target.isAvailable(context, now))
    }
  }
}

/** Every request goes to the first target; the second one gets them only while the first has failed. */
export async function build(firstUrl: string, secondUrl: string): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(gateway, {
    strategies: [firstAvailable],
    upstreams: { api: { strategy: 'first-available', targets: [firstUrl, secondUrl] } },
    routes: [{ id: 'api', match: { path: '/*' }, upstream: 'api' }]
  })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = await build('http://127.0.0.1:3001', 'http://127.0.0.1:3002')
  await app.listen({ port: 8080 })
}
