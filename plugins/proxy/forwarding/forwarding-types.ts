import type { Balancer } from '../../balancer/index.ts'
import type { UpstreamConfig } from '../../config/index.ts'
import type { Answer, AnswerSource } from '../answer/answer.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import type { ResponseHead, Transport } from '../transport/index.ts'
import type { RequestBody } from './request-body.ts'
import type { RetryBudget } from './retry-budget.ts'

/** An upstream with everything that carries requests to its targets. */
export interface UpstreamRuntime {
  readonly name: string
  readonly balancer: Balancer
  readonly transport: Transport
  readonly timeouts: UpstreamConfig['timeouts']
  readonly retry: UpstreamConfig['retry']
  readonly budget: RetryBudget
}

/** What goes to the target, made once for all attempts. */
export interface OutgoingRequest {
  readonly method: string
  readonly path: string
  /** Flat pairs; the first is the Host. */
  readonly headers: string[]
  /** Host for every target, or undefined: each target gets its own. */
  readonly host: string | undefined
  readonly body: RequestBody | undefined
  /** What a keyed strategy hashes. */
  readonly key: string | undefined
}

/** What the gateway does around an exchange. */
export interface ForwardingHooks {
  /** The response of the target is chosen: begins the answer. */
  respond(exchange: GatewayExchange, source: AnswerSource): Answer
  /** Headers for the client, made from those of the target. */
  responseHeaders(exchange: GatewayExchange, head: ResponseHead): string[]
}
