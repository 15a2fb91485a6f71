import type { Duplex } from 'node:stream'
import type { Gate, Outcome, PickContext, Target } from '../../balancer/index.ts'
import type { RetryCondition } from '../../config/index.ts'
import {
  BadResponseError,
  CircuitOpenError,
  ClientClosedError,
  NoTargetError,
  QueueFullError,
  QueueTimeoutError,
  RetryBudgetError,
  TotalTimeoutError,
  UpgradeUnsupportedError
} from '../../errors.ts'
import { whenClosed } from '../../middleware/index.ts'
import { type Answer, giveUp, progressOf } from '../answer/answer.ts'
import { closeAfterAnswer, limitRest } from '../front/linger.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import { isOverloaded, isStale, isUnprocessed, type ResponseHead } from '../transport/index.ts'
import { Attempt, type AttemptOptions } from './attempt.ts'
import { numberAttempt } from './attempt-header.ts'
import type { Deadlines, Expiring } from './deadlines.ts'
import { FurtherAttempts } from './further-attempts.ts'
import type { Waiter } from './request-queue.ts'
import { conditionOf, isRepeatable } from './retry-policy.ts'
import type { AttemptOwner, ForwardingHooks, OutgoingRequest, UpstreamRuntime } from './types.ts'

/** Milliseconds between looks whether a body has arrived as a whole, without which no other attempt can run beside. */
const BODY_INTERVAL = 20
/** How an exchange begins at a target. */
const FIRST: DispatchOptions = { fresh: false, repeated: false, rival: undefined }

/**
 * One exchange on its way through its attempts.
 *
 * Two facts decide what a failure leads to. *sent*: bytes may have reached the target, so only a request that may be
 * repeated goes to another one. *committed*: the answer has begun, so all that is left is to cut it visibly.
 */
export class Forwarding implements AttemptOwner, Expiring, PickContext, Waiter {
  readonly exchange: GatewayExchange
  readonly deadlines: Deadlines
  /** Another one after a failover. */
  upstream: UpstreamRuntime
  key: string | undefined
  token: string | undefined

  private request: OutgoingRequest
  private readonly hooks: ForwardingHooks
  /** Milliseconds for the whole exchange, as the first upstream says. */
  private readonly total: number
  private readonly totalDeadline: number
  /** When to give up waiting in the queue; after the target is done, when to look whether the client still reads. */
  private waitDeadline = Number.POSITIVE_INFINITY
  private attempt: Attempt | undefined = undefined
  private further: FurtherAttempts | undefined = undefined
  private answer: Answer | undefined = undefined
  private ended = false
  private progress = -1

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
    this.token = request.token
    upstream.retry.budget.deposit()
    deadlines.add(this)
    this.total = upstream.timeouts.total
    this.totalDeadline = deadlines.after(this.total)
    whenClosed(exchange.request.raw, exchange.reply.raw, () => this.onClientClose())
  }

  get deadline(): number {
    const { attempt, totalDeadline, waitDeadline } = this
    if (this.ended || attempt === undefined) return Math.min(waitDeadline, this.ended ? waitDeadline : totalDeadline)
    return Math.min(attempt.deadline, attempt.rival?.deadline ?? totalDeadline, totalDeadline)
  }

  get tried(): readonly Target[] | undefined {
    return this.further?.tried
  }

  start(): void {
    if (this.ended) return
    const { gate } = this.upstream.balancer
    if (gate !== undefined && !gate.admit()) this.turnAway(gate)
    // Who waits already comes first.
    else if (this.upstream.queue.length > 0 || !this.tryStart()) this.wait()
  }

  tryStart(): boolean {
    const target = this.upstream.balancer.get(this)
    if (target === undefined) return false
    this.waitDeadline = Number.POSITIVE_INFINITY
    this.dispatch(target, FIRST)
    if (this.upstream.hedging !== undefined) this.furtherAttempts().planHedge(0, () => this.startHedge())
    return true
  }

  /** The request body cannot be had whole, or is too large. */
  onBodyFault(error: Error): void {
    if (this.ended || error instanceof ClientClosedError) return
    this.endAttempts('neutral')
    this.finish(error)
  }

  onAttemptInformation(status: number, headers: readonly string[]): void {
    if (status !== 100 && this.answer === undefined) this.hooks.inform(this.exchange, status, headers)
  }

  onAttemptHead(attempt: Attempt, head: ResponseHead): Answer | undefined {
    const { exchange, hooks, upstream } = this
    upstream.hedging?.record(performance.now() - attempt.startedAt)
    if (this.passOver(attempt, head)) return undefined
    this.settleOn(attempt)
    attempt.pairs = hooks.responseHeaders(attempt, head)
    this.answer = hooks.respond(exchange, attempt)
    return this.answer
  }

  onAttemptUpgrade(attempt: Attempt, head: ResponseHead, socket: Duplex, early: Buffer): void {
    this.settleOn(attempt)
    // From here on, time and the end are the tunnel's business.
    this.attempt = undefined
    this.close()
    this.deadlines.delete(this)
    this.hooks.switchProtocols(attempt, head, socket, early)
  }

  onAttemptEnd(): void {
    this.attempt = undefined
    this.close()
    this.request.body?.discard()
  }

  onAttemptError(attempt: Attempt, error: Error): void {
    const unprocessed = isUnprocessed(error)
    const repeatable = this.answer?.begun !== true && isRepeatable(attempt.sent && !unprocessed, this.request)
    if (repeatable && !attempt.repeated && (unprocessed || isStale(error) || isOverloaded(error))) {
      // The target closed an idle connection just as we took it, or has too much to do on one of them: it has seen
      // nothing, or may see it twice, and nothing is wrong with it.
      attempt.end('neutral')
      this.dispatch(attempt.target, { fresh: !isOverloaded(error), repeated: true, rival: attempt.rival })
      return
    }
    this.report(error, attempt)
    attempt.end(error instanceof UpgradeUnsupportedError ? 'neutral' : 'failure')
    if (this.leavesRival(attempt)) return
    const condition = repeatable ? conditionOf(error) : undefined
    const delay = this.retryDelay(attempt.target, condition, 0)
    if (delay === undefined) {
      if (!this.takeFailover(condition) || !this.failOver()) this.finish(error)
    } else if (this.upstream.retry.budget.take()) this.retry(attempt.target, delay)
    else this.finish(new RetryBudgetError(this.upstream.name, { cause: error }))
  }

  onAttemptIdle(attempt: Attempt, error: Error): void {
    this.report(error, attempt)
    // A client that does not read, or does not send, is not the target's fault.
    attempt.end('neutral')
    if (!this.leavesRival(attempt)) this.finish(error)
  }

  onAttemptCancel(): void {
    this.close()
  }

  onDeadline(): void {
    const { attempt, deadlines, upstream } = this
    if (this.ended) {
      this.checkClient()
    } else if (deadlines.now >= this.totalDeadline) {
      const error = new TotalTimeoutError(this.total)
      if (attempt !== undefined) this.report(error, attempt)
      this.endAttempts('failure')
      this.finish(error)
    } else if (attempt === undefined) {
      this.refuse(new QueueTimeoutError(upstream.name))
    } else {
      const { rival } = attempt
      if (attempt.deadline <= deadlines.now) attempt.onDeadline()
      if (rival !== undefined && rival.deadline <= deadlines.now) rival.onDeadline()
    }
  }

  /** Waits for a target to have room, where that is what is missing. */
  private wait(): void {
    const { name, balancer, queue } = this.upstream
    const isBusy = balancer.isFull || balancer.targets.some((target) => target.isFull(this))
    if (!isBusy) this.refuse(new NoTargetError(name))
    else if (queue.add(this)) this.waitDeadline = this.deadlines.after(queue.timeout)
    else {
      balancer.overflows++
      this.refuse(queue.enabled ? new QueueFullError(name) : new NoTargetError(name))
    }
  }

  /** No target of the upstream takes the request: another upstream may. */
  private refuse(error: Error): void {
    if (!this.failOver()) this.finish(error)
  }

  private turnAway({ retryAfter }: Gate): void {
    if (this.failOver()) return
    if (retryAfter > 0) this.exchange.reply.header('retry-after', Math.ceil(retryAfter / 1_000))
    this.finish(new CircuitOpenError(this.upstream.name))
  }

  /** Whether attempts that ended so lead to another upstream, within the budget; they are counted then. */
  private takeFailover(condition: RetryCondition | undefined): boolean {
    const { failover, retry } = this.upstream
    return failover?.covers(condition) === true && retry.budget.take()
  }

  /** Goes on at the upstream that stands in for the present one; false when there is none. */
  private failOver(): boolean {
    const { exchange, hooks, upstream } = this
    if (upstream.failover === undefined) return false
    const other = upstream.failover.upstream
    exchange.request.log.info({ upstream: upstream.name, failover: other.name }, 'another upstream stands in')
    upstream.queue.delete(this)
    this.waitDeadline = Number.POSITIVE_INFINITY

    this.upstream = other
    exchange.upstream = other.name
    this.key = hooks.keyOf(exchange, other)
    this.token = hooks.tokenOf(exchange, other)
    this.request = { ...this.request, key: this.key, token: this.token }
    this.further?.moveTo(other, this.request)
    other.retry.budget.deposit()
    this.start()
    return true
  }

  private dispatch(target: Target, options: DispatchOptions): void {
    const { request } = this
    const { rival } = options
    this.withdraw()
    const attempt = new Attempt(this, target, options)
    this.attempt = attempt
    if (rival === undefined) {
      request.headers[1] = request.host ?? target.authority
      attempt.start(request, request.body, this.numbered(request.headers))
      return
    }
    attempt.rival = rival
    rival.rival = attempt
    const [name = 'host', , ...others] = request.headers
    const headers = [name, request.host ?? target.authority, ...others]
    attempt.start(request, request.body?.copy(), this.numbered(headers))
  }

  /** Forgets an answer that failed before anything of it left. */
  private withdraw(): void {
    if (this.answer === undefined) return
    this.answer = undefined
    this.exchange.bytes = 0
  }

  /** Headers for the next attempt, with its number where that is wanted. */
  private numbered(headers: readonly string[]): readonly string[] {
    const { attemptHeader } = this.upstream.retry
    return attemptHeader === undefined ? headers : numberAttempt(headers, attemptHeader, this.exchange.attempts + 1)
  }

  /** Drops a response that is worth another attempt because of its status; false when it is the one to send. */
  private passOver(attempt: Attempt, head: ResponseHead): boolean {
    const { exchange, request, upstream } = this
    const { target, rival } = attempt
    const { failover, retry } = upstream
    const isRetried = retry.covers(head.status)
    if (!(isRetried || failover?.covers(head.status) === true) || !isRepeatable(true, request)) return false
    const delay = isRetried ? this.retryDelay(target, head.status, retry.waitOf(head.headers)) : undefined
    const isGranted = () => (delay === undefined ? this.takeFailover(head.status) : retry.budget.take())
    if (rival === undefined && !isGranted()) return false

    const details = { upstream: upstream.name, target: target.url, status: head.status, attempt: exchange.attempts }
    exchange.request.log.warn(details, 'attempt answered with a status that is tried again')
    attempt.discard()
    if (this.leavesRival(attempt)) return true
    if (delay === undefined) this.failOver()
    else this.retry(target, delay)
    return true
  }

  /** Milliseconds before the next attempt; undefined when there is none to make. */
  private retryDelay(failed: Target, condition: RetryCondition | undefined, wait: number): number | undefined {
    return this.furtherAttempts().delayOf(failed, condition, wait, this.totalDeadline - this.deadlines.now)
  }

  private retry(failed: Target, delay: number): void {
    this.furtherAttempts().retry(failed, delay, () => {
      if (!this.ended && !this.tryStart()) this.wait()
    })
  }

  private startHedge(): void {
    const { attempt } = this
    if (attempt === undefined || this.answer !== undefined || attempt.rival !== undefined) return
    const further = this.furtherAttempts()
    if (this.request.body?.pending === true) {
      further.planHedge(BODY_INTERVAL, () => this.startHedge())
      return
    }
    const target = further.hedgeTarget(attempt.target)
    if (target !== undefined) this.dispatch(target, { ...FIRST, rival: attempt })
  }

  private furtherAttempts(): FurtherAttempts {
    this.further ??= new FurtherAttempts(this.upstream, this.request)
    return this.further
  }

  /** This attempt is answered; nobody needs the one beside it. */
  private settleOn(attempt: Attempt): void {
    this.further?.stop()
    this.attempt = attempt
    if (attempt.rival === undefined) return
    attempt.rival.end('neutral')
    attempt.rival = undefined
    this.exchange.target = attempt.target.url
  }

  /** Lets go of an attempt that is over. Says whether another is still under way. */
  private leavesRival(attempt: Attempt): boolean {
    const { rival } = attempt
    this.attempt = rival
    if (rival === undefined) return false
    rival.rival = undefined
    this.furtherAttempts().exclude(attempt.target)
    return true
  }

  private endAttempts(outcome: Outcome): void {
    this.attempt?.rival?.end(outcome)
    this.attempt?.end(outcome)
    this.attempt = undefined
  }

  /** No more attempts; what is left is the client's time to read. */
  private close(): void {
    this.ended = true
    this.further?.stop()
    this.upstream.queue.delete(this)
    this.waitDeadline = this.deadlines.after(this.upstream.timeouts.idle)
  }

  /** The end of an exchange that failed. */
  private finish(error: Error): void {
    const { exchange, request, upstream } = this
    this.close()
    exchange.error = error
    if (exchange.attempts === 0 || error instanceof NoTargetError)
      exchange.request.log.warn({ upstream: upstream.name }, error.message)
    if (this.answer?.fail(error) === true) return
    // What has come of a body has not left.
    exchange.bytes = 0
    const { reply } = exchange
    if (reply.sent) return
    if (!reply.request.raw.complete) closeAfterAnswer(reply)
    request.body?.discard()
    reply.send(error)
  }

  private report(error: Error, { target }: Attempt): void {
    const { exchange, upstream } = this
    const details = { err: error, upstream: upstream.name, target: target.url, attempt: exchange.attempts }
    exchange.request.log.warn(details, error instanceof BadResponseError ? 'bad response' : 'attempt failed')
  }

  private onClientClose(): void {
    const { exchange, upstream } = this
    const { ended } = this
    this.endAttempts('neutral')
    this.close()
    this.deadlines.delete(this)
    limitRest(exchange.request.raw, upstream.timeouts.idle)
    // The client has its answer. If the target was not done, a hook threw, or put another body in place of its own.
    if (ended || exchange.reply.raw.writableEnded) return
    exchange.error = new ClientClosedError()
    exchange.request.log.info({ upstream: upstream.name, target: exchange.target, status: 499 }, 'client left')
  }

  /** After the target is done, a client that reads slowly may go on; one that reads nothing at all may not. */
  private checkClient(): void {
    const { reply } = this.exchange
    const progress = progressOf(reply)
    if (progress === this.progress) giveUp(reply)
    this.progress = progress
    this.waitDeadline = this.deadlines.after(this.upstream.timeouts.idle)
  }
}

interface DispatchOptions extends AttemptOptions {
  /** The attempt beside which this one runs. */
  readonly rival: Attempt | undefined
}
