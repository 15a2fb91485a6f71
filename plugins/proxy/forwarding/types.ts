import type { Duplex } from 'node:stream'
import type { Balancer } from '../../balancer/index.ts'
import type { UpstreamConfig } from '../../config/index.ts'
import type { Answer, AnswerSource } from '../answer/answer.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import type { ResponseHead, Transport } from '../transport/index.ts'
import type { Attempt } from './attempt.ts'
import type { Deadlines } from './deadlines.ts'
import type { Failover } from './failover.ts'
import type { Hedging } from './hedging.ts'
import type { RequestBody } from './request-body.ts'
import type { RequestQueue } from './request-queue.ts'
import type { RetryPolicy } from './retry-policy.ts'

/** An upstream with everything that carries requests to its targets. */
export interface UpstreamRuntime {
  readonly name: string
  readonly balancer: Balancer
  readonly transport: Transport
  readonly timeouts: UpstreamConfig['timeouts']
  readonly retry: RetryPolicy
  readonly queue: RequestQueue
  /** Undefined when no request of the upstream is ever hedged. */
  readonly hedging: Hedging | undefined
  /** What stands in for it; set once all upstreams are there. */
  failover: Failover | undefined
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
  /** Ask the target for 100 (Continue) before the body is sent. */
  readonly expectContinue: boolean
  /** What to ask the target to switch to; undefined for an ordinary request. */
  readonly upgrade: string | undefined
  /** Doing it twice is the same as doing it once, by its method or by what the client promises. */
  readonly idempotent: boolean
  /** What a keyed strategy hashes. */
  readonly key: string | undefined
  /** What the client brought along to be known by, where the strategy asks for it. */
  readonly token: string | undefined
}

/** What the gateway does around an exchange. */
export interface ForwardingHooks {
  /** What the strategy of an upstream hashes. */
  keyOf(exchange: GatewayExchange, upstream: UpstreamRuntime): string | undefined
  /** What the client brought along to be known by at an upstream. */
  tokenOf(exchange: GatewayExchange, upstream: UpstreamRuntime): string | undefined
  /** An informational response of the target, other than 100 and 101. */
  inform(exchange: GatewayExchange, status: number, headers: readonly string[]): void
  /** The response of the target is chosen: begins the answer. */
  respond(exchange: GatewayExchange, source: AnswerSource): Answer
  /** The target has switched protocols, as was asked for; the attempt lasts as long as the tunnel. */
  switchProtocols(attempt: Attempt, head: ResponseHead, socket: Duplex, early: Buffer): void
  /** Headers for the client, made from those of the target. */
  responseHeaders(attempt: Attempt, head: ResponseHead): string[]
}

/** What an attempt tells the forwarding it belongs to. */
export interface AttemptOwner {
  readonly exchange: GatewayExchange
  readonly upstream: UpstreamRuntime
  readonly deadlines: Deadlines
  readonly token: string | undefined
  onAttemptInformation(status: number, headers: readonly string[]): void
  /** Begins the answer; undefined when this response is not the one to send, and the attempt was ended. */
  onAttemptHead(attempt: Attempt, head: ResponseHead): Answer | undefined
  onAttemptUpgrade(attempt: Attempt, head: ResponseHead, socket: Duplex, early: Buffer): void
  onAttemptEnd(): void
  /** The attempt failed, and may be followed by another. */
  onAttemptError(attempt: Attempt, error: Error): void
  /** Nothing moved for too long, which is as likely the client's doing as the target's. */
  onAttemptIdle(attempt: Attempt, error: Error): void
  /** A hook dropped the response. */
  onAttemptCancel(): void
}
