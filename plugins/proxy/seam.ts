import type { FastifyReplyFromHooks, FastifyReplyFromOptions } from '@fastify/reply-from'
import { BadFramingError, BodyTooLargeError } from '../errors.ts'
import { awaitTurn, mustWait } from './front/turn.ts'
import type { Gateway } from './gateway.ts'
import { GatewayExchange } from './gateway-exchange.ts'

const kExchange = Symbol('gateway.exchange')

interface SeamRequest {
  readonly headers: { readonly [kExchange]?: unknown }
}

/**
 * Puts the gateway behind `reply.from()`: reply-from takes any `{ request, destroy }` as its client, and hands it the
 * headers object that was made here, and with it the exchange. What reply-from would do with URLs, headers and bodies is
 * made void by constants; choice of target, attempts, headers and the response are the gateway's.
 */
export function createSeam(
  gateway: Gateway,
  destroy: () => void
): { options: FastifyReplyFromOptions; call: FastifyReplyFromHooks } {
  const client = {
    request({ headers }: SeamRequest): void {
      const exchange = headers[kExchange]
      if (!(exchange instanceof GatewayExchange)) return
      const { request, reply } = exchange
      if (mustWait(reply.raw)) awaitTurn(request.raw, reply.raw, () => forward(gateway, exchange))
      else forward(gateway, exchange)
    },
    destroy
  }
  return {
    options: {
      base: 'http://gateway.invalid',
      // Its types name undici's classes; its code asks for `request` and `destroy` only.
      undici: client as unknown as NonNullable<FastifyReplyFromOptions['undici']>,
      retryMethods: [],
      disableRequestLogging: true,
      destroyAgent: true
    },
    call: {
      rewriteRequestHeaders: (request) => Object.assign({}, { [kExchange]: request.exchange })
    }
  }
}

function forward(gateway: Gateway, exchange: GatewayExchange): void {
  try {
    gateway.forward(exchange)
  } catch (error) {
    const { reply } = exchange
    exchange.error = error instanceof Error ? error : new Error(String(error))
    // Where the body ends is not known, or further away than anybody wants to read (RFC 9112, section 6.3).
    const endless = error instanceof BadFramingError || error instanceof BodyTooLargeError
    if (endless && reply.request.raw.httpVersionMajor !== 2) reply.header('connection', 'close')
    reply.send(exchange.error)
  }
}
