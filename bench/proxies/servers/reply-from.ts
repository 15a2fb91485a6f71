import plugin from '@fastify/reply-from'
import Fastify from 'fastify'
import { CONNECTIONS, type Start } from './serve.ts'

/** Stock reply-from, with bodies that nobody parses. */
export const replyFrom: Start = async ({ host, port, base, tls }) => {
  const app = Fastify({ https: tls })
  await app.register(plugin, { base, disableRequestLogging: true, undici: { connections: CONNECTIONS } })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.all('/*', (request, reply) => {
    reply.from(request.url)
  })
  await app.listen({ host, port })
}
