import type { FastifyReply, FastifyRequest, onRequestHookHandler, onSendHookHandler } from 'fastify'
import { Exchange } from './exchange.ts'
import type { Onion } from './onion.ts'

/** The two Fastify hooks that an onion runs in. */
export interface OnionHooks {
  readonly onRequest: onRequestHookHandler
  readonly onSend: onSendHookHandler<unknown>
}

/**
 * Makes the two hooks. `find` tells the onion of a request, or undefined when its route has no layers; then nothing
 * more is done. An exchange that `find` or an earlier hook has put on the request is used, else a new one is made.
 */
export function onionHooks(find: (request: FastifyRequest) => Onion | undefined): OnionHooks {
  return {
    onRequest(request, reply, done) {
      const onion = find(request)
      if (onion === undefined) {
        done()
        return
      }
      request.exchange ??= createExchange(request, reply)
      onion.enter(request.exchange, done)
    },
    onSend(request, _reply, payload, done) {
      const passage = request.exchange?.onion
      if (passage === undefined) done(null, payload)
      else passage.leave(payload, done)
    }
  }
}

function createExchange(request: FastifyRequest, reply: FastifyReply): Exchange {
  const exchange = new Exchange(request, reply, performance.now())
  exchange.route = request.routeOptions.url
  return exchange
}
