import { type IncomingMessage, ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import type { FastifyInstance } from 'fastify'
import { ExpectationFailedError, MethodNotAllowedError } from '../../errors.ts'
import { afterAnswers } from './answers-under-way.ts'
import { asksOnlyForContinue } from './expectation.ts'
import { refuse, refuseRequest } from './refusal.ts'

/**
 * Gives requests an answer that Node.js hands to no route: CONNECT, on which it would only cut the connection, and
 * expectations other than `100-continue`. Applies to the whole server; what somebody else looks after is left to them.
 */
export function answerUnroutable(fastify: FastifyInstance): void {
  const { server } = fastify
  if (server.listenerCount('connect') === 0) server.on('connect', refuseTunnel)
  if (server.listenerCount('checkExpectation') === 0) {
    server.on('checkExpectation', (request, response) => {
      if (asksOnlyForContinue(request.headers.expect)) fastify.routing(request, response)
      else refuseRequest(response, new ExpectationFailedError())
    })
  }
}

/** Over HTTP/2 a tunnel would be one stream of many, and Node.js hands over a response instead of the connection. */
function refuseTunnel({ socket }: IncomingMessage, other: unknown): void {
  const error = new MethodNotAllowedError('CONNECT')
  if (other instanceof Http2ServerResponse || other instanceof ServerResponse) {
    refuseRequest(other, error)
    return
  }
  // Node.js has let go of the connection: nobody listens to it any more.
  socket.on('error', () => {})
  afterAnswers(socket, () => refuse(socket, error))
}
