import { MiddlewareThrewError } from '../errors.ts'
import type { Exchange } from './exchange.ts'

/** Whether a layer's result must be waited for. */
export function isPending(result: unknown, exchange: Exchange): result is PromiseLike<unknown> {
  if (typeof result !== 'object' || result === null || !('then' in result)) return false
  // A reply is a thenable that waits for the response to be sent; waiting for it inside the onion would never end.
  return typeof result.then === 'function' && result !== exchange.reply
}

/** What a layer threw, as an Error. */
export function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new MiddlewareThrewError({ cause: reason })
}

/** Logs an error that can no longer change the answer. */
export function report(exchange: Exchange, error: Error): void {
  exchange.request.log.error({ err: error }, 'middleware failed after the request was answered')
}
