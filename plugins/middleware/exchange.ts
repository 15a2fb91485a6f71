import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Passage } from './passage.ts'

/** One request on its way through the gateway, from its arrival to the last byte of its answer. */
export class Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** When the exchange began, in milliseconds of `performance.now()`. */
  readonly startedAt: number
  /** Id of the route that matched; outside the gateway's own routes, the URL pattern of the Fastify route. */
  route: string | undefined = undefined
  /** Name of the upstream chosen for the exchange. */
  upstream: string | undefined = undefined
  /** URL of the target of the latest attempt. */
  target: string | undefined = undefined
  /** How many attempts were begun. */
  attempts = 0
  /** Bytes of the response body handed to the client so far. */
  bytes = 0
  /** Bytes that the client has sent so far through a tunnel, after an upgrade. */
  receivedBytes = 0
  /** Milliseconds spent with targets, over all attempts: from the choice of a target to its last byte. */
  targetTime = 0
  /** What ended the exchange early: an error answered by the gateway, or the client that left. */
  error: Error | undefined = undefined
  /**
   * Body of the response, while response halves run: string, Buffer, stream, or null for none.
   * A layer may replace it; framing headers follow by themselves.
   */
  payload: unknown = undefined
  /** Id of the request, when the `request-id` layer runs. */
  requestId: string | undefined = undefined
  /** Headers that layers want the target to get, names in lower case; they replace the client's of the same name. */
  requestHeaders: [name: string, value: string][] | undefined = undefined
  /** Where the exchange is in the onion of its route; kept by the onion. */
  onion: Passage | undefined = undefined

  constructor(request: FastifyRequest, reply: FastifyReply, startedAt: number) {
    this.request = request
    this.reply = reply
    this.startedAt = startedAt
  }

  /** Whether an answer was given, though it may still be on its way out through the layers. */
  get answered(): boolean {
    return this.reply.sent || this.onion?.answered === true
  }
}
