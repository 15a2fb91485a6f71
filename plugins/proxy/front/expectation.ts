import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { ExpectationFailedError } from '../../errors.ts'
import { refuseRequest } from './refusal.ts'

/** Requests whose client still waits for 100 (Continue) before it sends the body. */
const waiting = new WeakSet<IncomingMessage>()

/** Whether the client of a request sends its body only once somebody reads it. */
export function awaitsContinue(message: IncomingMessage): boolean {
  return waiting.has(message)
}

/**
 * Has clients that expect 100 (Continue) get it when their body is first read, and not as soon as their request arrives:
 * whoever refuses the request, here or at the target, does so before the body is on its way (RFC 9110, section 10.1.1).
 * Applies to all routes of the server; leaves servers alone on which somebody else looks after this.
 */
export function continueOnRead(fastify: FastifyInstance): void {
  const { server } = fastify
  if (server.listenerCount('checkContinue') > 0) return
  server.on('checkContinue', (request, response) => {
    // Node.js takes `100-continue` anywhere in the value for it.
    if (request.headers.expect?.toLowerCase() !== '100-continue') {
      refuseRequest(response, new ExpectationFailedError())
      return
    }
    const read = request._read
    waiting.add(request)
    request._read = (size) => {
      request._read = read
      waiting.delete(request)
      // A body that is read to get rid of it, after the answer, is not asked for.
      if (!response.headersSent) response.writeContinue()
      read.call(request, size)
    }
    fastify.routing(request, response)
  })
}
