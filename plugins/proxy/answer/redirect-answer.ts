import type { IncomingMessage } from 'node:http'
import type { FastifyReply } from 'fastify'
import { groupHeaders } from '../forwarding/response-headers.ts'
import { closeAfterAnswer, limitRest } from '../front/linger.ts'

/** Bytes of a request body that are read for nothing, so that the connection can be used again. */
const MAX_DISCARDED = 65_536
/** Milliseconds they may take. */
const REST_TIMEOUT = 10_000

/** Answers without a body, by way of Fastify: hooks and layers see it as any other answer. */
export function answerRedirect(reply: FastifyReply, status: number, pairs: readonly string[]): void {
  for (const [name, value] of groupHeaders(pairs)) reply.header(name, value)
  // Node.js reads on until the request is over; a client with much to send, or one that waits to be asked, had better stop.
  if (leavesMuch(reply.request.raw)) closeAfterAnswer(reply)
  else limitRest(reply.request.raw, REST_TIMEOUT)
  reply.code(status).send()
}

function leavesMuch({ complete, headers, httpVersionMajor }: IncomingMessage): boolean {
  if (complete || httpVersionMajor !== 1) return false
  if (headers.expect !== undefined || headers['transfer-encoding'] !== undefined) return true
  return Number(headers['content-length'] ?? 0) > MAX_DISCARDED
}
