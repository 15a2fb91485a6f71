import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { ExpectationFailedError } from '../../errors.ts'
import { streamOf } from '../../middleware/index.ts'
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
    if (!asksOnlyForContinue(request.headers.expect)) {
      refuseRequest(response, new ExpectationFailedError())
      return
    }
    letInOnRead(request, response)
    fastify.routing(request, response)
  })
}

function letInOnRead(request: IncomingMessage, response: ServerResponse): void {
  const letIn = () => {
    request._read = read
    waiting.delete(request)
    // A body that is read to get rid of it, after the answer, is not asked for.
    if (!response.headersSent) response.writeContinue()
  }
  const read = request._read
  waiting.add(request)
  request._read = (size) => {
    letIn()
    read.call(request, size)
  }
  if (streamOf(request) !== undefined) return
  // Without a 100, Node.js takes it that the body may yet come or not, and closes the connection. So it is sent, too,
  // where there is no body, and where all of it came with the head, so that nothing is left to read.
  if (!hasBody(request)) letIn()
  else request.once('end', () => waiting.has(request) && letIn())
}

/** Whether a value of Expect asks for nothing else; it is a list (RFC 9110, section 10.1.1), and may be an empty one. */
export function asksOnlyForContinue(expect = ''): boolean {
  return expect.split(',').every((expectation) => /^\s*(?:100-continue)?\s*$/i.test(expectation))
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
