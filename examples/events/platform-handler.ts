import Fastify from 'fastify'
import gateway from 'fastify-gateway'
import { createEventHandler } from 'fastify-gateway/events'

const app = Fastify()
app.get('/health', async () => ({ ok: true }))
await app.register(gateway, {
  upstreams: { users: { targets: [process.env.USERS_URL ?? 'http://127.0.0.1:3001'] } },
  routes: [{ match: { path: '/users/*' }, upstream: 'users' }]
})

/** The handler to name at AWS Lambda and at Function Compute 3.0: the form is seen from each event. */
export const handler = createEventHandler(app)
