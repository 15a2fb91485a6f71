import type { Outcome, PickContext, Target } from '../../balancer/index.ts'
import type { RetryCondition } from '../../config/index.ts'
import {
  BadResponseError,
  ClientClosedError,
  IdleTimeoutError,
  NoTargetError,
  ResponseTimeoutError,
  RetryBudgetError,
  TotalTimeoutError
} from '../../errors.ts'
import { whenClosed } from '../../middleware/index.ts'
import type { Answer, AnswerSource } from '../answer/answer.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import { isStale, type ResponseHead, type TransportAttempt, type TransportHandler } from '../transport/index.ts'
import type { Deadlines, Expiring } from './deadlines.ts'
import type { ForwardingHooks, OutgoingRequest, UpstreamRuntime } from './forwarding-types.ts'
import { conditionOf, isRepeatable } from './retry.ts'

const CONNECTING = 0
const SENDING = 1
const WAITING = 2
const RECEIVING = 3

/**
 * One exchange on its way through its attempts.
 *
 * Two facts decide what a failure leads to. *sent*: bytes may have reached the target, so only a request that may be
 * repeated goes to another one. *committed*: the answer has begun, so all that is left is to cut it visibly.
 */
export class Forwarding implements TransportHandler, Expiring, PickContext {
  deadline = Number.POSITIVE_INFINITY
  readonly key: string | undefined
  tried: Target[] | undefined = undefined

  private readonly exchange: GatewayExchange
  private readonly upstream: UpstreamRuntime
  private readonly request: OutgoingRequest
  private readonly deadlines: Deadlines
  private readonly hooks: ForwardingHooks
  private readonly totalDeadline: number
  private target: Target | undefined = undefined
  private attempt: TransportAttempt | undefined = undefined
  private attemptStartedAt = 0
  private retriesLeft: number
  private phase = CONNECTING
  private sent = false
  private fresh = false
  private answer: Answer | undefined = undefined
  private ended = false
  private written = 0

  constructor(
    exchange: GatewayExchange,
    upstream: UpstreamRuntime,
    request: OutgoingRequest,
    deadlines: Deadlines,
    hooks: ForwardingHooks
  ) {
    this.exchange = exchange
    this.upstream = upstream
    this.request = request
    this.deadlines = deadlines
    this.hooks = hooks
    this.key = request.key
    this.retriesLeft = upstream.retry.attempts
    upstream.budget.deposit()
    deadlines.add(this)
    this.totalDeadline = deadlines.after(upstream.timeouts.total)
    this.deadline = this.totalDeadline
    whenClosed(exchange.request.raw, exchange.reply.raw, () => this.onClientClose())
  }

  start(): void {
    if (this.ended) return
    const target = this.upstream.balancer.get(this)
    if (target === undefined) this.finish(new NoTargetError(this.upstream.name))
    else this.dispatch(target)
  }

  /** The request body cannot be had whole, or is too large. */
  onBodyFault(error: Error): void {
    if (this.ended || error instanceof ClientClosedError) return
    this.endAttempt('neutral')
    this.finish(error)
  }

  onSent(): void {
    this.sent = true
    this.enter(SENDING)
  }

  onRequestEnd(): void {
    if (this.phase === SENDING) this.enter(WAITING)
  }

  onProgress(): void {
    if (this.phase === SENDING) this.enter(SENDING)
  }

  onInformation(): void {
    if (this.phase === WAITING) this.enter(WAITING)
  }

  onHead(head: ResponseHead): void {
    this.enter(RECEIVING)
    if (this.passOn(head.status)) return
    const { exchange, hooks } = this
    const source: AnswerSource = {
      reply: exchange.reply,
      head,
      pairs: hooks.responseHeaders(exchange, head),
      resume: () => this.resume(),
      cancel: () => this.cancel()
    }
    this.answer = hooks.respond(exchange, source)
  }

  onData(chunk: Buffer): boolean {
    this.enter(RECEIVING)
    this.exchange.bytes += chunk.length
    return this.answer?.write(chunk) ?? true
  }

  onReadEnd(): void {
    this.answer?.flush()
  }

  onEnd(trailers: string[]): void {
    // The connection is free, and no longer ours to abort.
    this.attempt = undefined
    this.endAttempt('success')
    this.ended = true
    this.enter(RECEIVING)
    this.request.body?.discard()
    this.answer?.end(trailers)
  }

  /** Never comes, since no request asks for it yet. */
  onUpgrade(): void {}

  onError(error: Error): void {
    const { target } = this
    if (target === undefined) return
    const repeatable = this.answer === undefined && isRepeatable(this.sent, this.request.method, this.request.body)
    if (isStale(error) && repeatable && !this.fresh) {
      // The target closed an idle connection just as we took it: it has seen nothing, and nothing is wrong with it.
      this.endAttempt('neutral')
      this.fresh = true
      this.dispatch(target)
      return
    }
    this.report(error)
    this.endAttempt('failure')
    if (!repeatable || !this.mayRetry(conditionOf(error), target)) {
      this.finish(error)
    } else if (!this.upstream.budget.take()) {
      this.finish(new RetryBudgetError(this.upstream.name, { cause: error }))
    } else {
      this.retry(target)
    }
  }

  onDeadline(): void {
    const { timeouts } = this.upstream
    if (this.ended) {
      this.checkClient()
      return
    }
    const total = this.deadlines.now >= this.totalDeadline
    const waiting = this.phase === WAITING
    let error: Error = new IdleTimeoutError(timeouts.idle)
    if (total) error = new TotalTimeoutError(timeouts.total)
    else if (waiting) error = new ResponseTimeoutError(timeouts.response)
    // A client that does not read, or does not send, is not the target's fault.
    if (waiting && !total) {
      this.attempt?.abort()
      this.onError(error)
    } else {
      this.report(error)
      this.endAttempt(total ? 'failure' : 'neutral')
      this.finish(error)
    }
  }

  private dispatch(target: Target): void {
    const { exchange, upstream, request } = this
    exchange.attempts++
    exchange.target = target.url
    upstream.balancer.acquire(target)
    this.target = target
    this.sent = false
    this.phase = CONNECTING
    this.deadline = this.totalDeadline
    this.attemptStartedAt = performance.now()
    request.headers[1] = request.host ?? target.authority
    this.attempt = upstream.transport.dispatch(
      {
        target,
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body,
        connectTimeout: upstream.timeouts.connect,
        fresh: this.fresh,
        upgrade: undefined,
        expectContinue: false
      },
      this
    )
  }

  /** Gives the exchange to another target because of the status; false when this response is the one to send. */
  private passOn(status: number): boolean {
    const { target, upstream, request } = this
    if (target === undefined || !this.mayRetry(status, target)) return false
    if (!isRepeatable(true, request.method, request.body) || !upstream.budget.take()) return false

    this.exchange.request.log.warn(
      { upstream: upstream.name, target: target.url, status, attempt: this.exchange.attempts },
      'attempt answered with a status that is tried again'
    )
    this.endAttempt('failure')
    this.retry(target)
    return true
  }

  /** Whether the failure is one to be tried again, and there is a target left to try. */
  private mayRetry(condition: RetryCondition | undefined, failed: Target): boolean {
    const { retry, balancer } = this.upstream
    if (this.retriesLeft === 0 || condition === undefined || !retry.on.includes(condition)) return false
    const context = { key: this.key, tried: [...(this.tried ?? []), failed] }
    return balancer.targets.some((target) => target.isAvailable(context, () => performance.now()))
  }

  private retry(failed: Target): void {
    this.retriesLeft--
    this.fresh = false
    this.tried = [...(this.tried ?? []), failed]
    const next = this.upstream.balancer.get(this)
    if (next === undefined) this.finish(new NoTargetError(this.upstream.name))
    else this.dispatch(next)
  }

  private enter(phase: number): void {
    this.phase = phase
    const { timeouts } = this.upstream
    const limit = this.deadlines.after(phase === WAITING ? timeouts.response : timeouts.idle)
    this.deadline = Math.min(limit, this.totalDeadline)
  }

  private resume(): void {
    if (this.target === undefined) return
    this.enter(RECEIVING)
    this.attempt?.resume()
  }

  /** A hook dropped the response. */
  private cancel(): void {
    this.endAttempt('neutral')
    this.ended = true
  }

  private endAttempt(outcome: Outcome): void {
    const { target } = this
    if (target === undefined) return
    this.target = undefined
    this.attempt?.abort()
    this.attempt = undefined
    this.exchange.targetTime += performance.now() - this.attemptStartedAt
    this.upstream.balancer.release(target, outcome)
  }

  /** The end of an exchange that failed. */
  private finish(error: Error): void {
    const { exchange, request } = this
    this.ended = true
    exchange.error = error
    if (error instanceof NoTargetError) exchange.request.log.warn({ upstream: this.upstream.name }, error.message)
    if (this.answer?.fail(error) === true) return
    const { reply } = exchange
    if (reply.sent) return
    if (!reply.request.raw.complete) reply.header('connection', 'close')
    request.body?.discard()
    this.enter(RECEIVING)
    reply.send(error)
  }

  private report(error: Error): void {
    const { exchange, upstream } = this
    const details = { err: error, upstream: upstream.name, target: exchange.target, attempt: exchange.attempts }
    exchange.request.log.warn(details, error instanceof BadResponseError ? 'bad response' : 'attempt failed')
  }

  private onClientClose(): void {
    this.deadlines.delete(this)
    const { exchange } = this
    if (exchange.reply.raw.writableEnded) {
      // The client has its answer. If the target is not done, a hook threw, or put another body in place of its own.
      this.cancel()
      return
    }
    this.endAttempt('neutral')
    if (this.ended) return
    this.ended = true
    exchange.error = new ClientClosedError()
    exchange.request.log.info({ upstream: this.upstream.name, target: exchange.target, status: 499 }, 'client left')
  }

  /** After the target is done, a client that reads slowly may go on; one that reads nothing at all may not. */
  private checkClient(): void {
    const { raw } = this.exchange.reply
    const written = raw.socket?.bytesWritten ?? 0
    if (written === this.written) raw.destroy()
    this.written = written
    this.enter(RECEIVING)
  }
}
