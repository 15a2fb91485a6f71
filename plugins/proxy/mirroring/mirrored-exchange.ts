import { whenClosed } from '../../middleware/index.ts'
import type { Answer, AnswerSource } from '../answer/answer.ts'
import type { BodyObserver } from '../forwarding/request-body.ts'
import type { OutgoingRequest } from '../forwarding/types.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import type { Mirror } from './mirror.ts'
import type { MirroredRequest } from './mirrored-request.ts'
import { type AnswerObserver, ObservedAnswer } from './observed-answer.ts'

/** An exchange of which mirrors get copies: hands on what passes of request and response. */
export class MirroredExchange implements BodyObserver, AnswerObserver {
  private readonly requests: readonly MirroredRequest[]

  private constructor(requests: readonly MirroredRequest[]) {
    this.requests = requests
  }

  /** To be called before the body is read; undefined when no mirror takes the request. */
  static begin(
    mirrors: readonly Mirror[],
    exchange: GatewayExchange,
    outgoing: OutgoingRequest
  ): MirroredExchange | undefined {
    const requests = mirrors.flatMap((mirror) => mirror.begin(exchange, outgoing) ?? [])
    if (requests.length === 0) return undefined
    const mirrored = new MirroredExchange(requests)
    if (outgoing.body === undefined) mirrored.onBodyEnd([])
    else {
      outgoing.body.observer = mirrored
      // Once the exchange is over, nobody may ever read the rest of its body.
      whenClosed(exchange.request.raw, exchange.reply.raw, () => mirrored.onBodyLost())
    }
    return mirrored
  }

  onBodyData(chunk: Buffer): void {
    for (const request of this.requests) request.onBodyData(chunk)
  }

  onBodyEnd(trailers: readonly string[]): void {
    for (const request of this.requests) request.onBodyEnd(trailers)
  }

  onBodyLost(): void {
    for (const request of this.requests) request.onBodyLost()
  }

  /** The answer to the client, looked at where somebody compares. */
  observe(answer: Answer, { head }: AnswerSource): Answer {
    if (!this.requests.some(({ compares }) => compares)) return answer
    for (const request of this.requests) request.onPrimaryHead(head)
    return new ObservedAnswer(answer, this)
  }

  onAnswerData(chunk: Buffer): void {
    for (const request of this.requests) request.onPrimaryData(chunk)
  }

  onAnswerEnd(complete: boolean): void {
    for (const request of this.requests) request.onPrimaryEnd(complete)
  }
}
