import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Requests whose URL stands in for the one the client sent, until they are routed. */
const standIns = new WeakSet<IncomingMessage>()

/**
 * Routes what Fastify's router cannot read, such as `/caf%E9`, whose escape is no UTF-8; for Fastify's option
 * `frameworkErrors`. For routing, escapes that it cannot decode stand for themselves; the gateway then has the URL of the
 * client back, and its own policy for paths. All other errors are answered as without the option.
 */
export function routeOddUrl(error: Error & { code?: string }, request: FastifyRequest, reply: FastifyReply): void {
  const { raw, server } = request
  if (error.code !== 'FST_ERR_BAD_URL' || standIns.has(raw)) {
    reply.send(error)
    return
  }
  standIns.add(raw)
  const sent = raw.url ?? ''
  Object.assign(raw, { originalUrl: sent, url: readable(sent) })
  server.routing(raw, reply.raw)
}

/** Gives a request that was routed by a stand-in the URL that its client sent. */
export function restoreUrl(message: IncomingMessage): void {
  if (!('originalUrl' in message) || typeof message.originalUrl !== 'string' || !standIns.has(message)) return
  message.url = message.originalUrl
}

/** Escapes the percent sign of what is no escape of an ASCII character, in the path. */
function readable(url: string): string {
  const end = url.search(/[?#]/)
  const path = end < 0 ? url : url.slice(0, end)
  return path.replace(/%(?![0-7][\da-f])/gi, '%25') + url.slice(path.length)
}
