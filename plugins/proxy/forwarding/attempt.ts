import type { Duplex } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Outcome, Target } from '../../balancer/index.ts'
import { IdleTimeoutError, ResponseTimeoutError } from '../../errors.ts'
import type { Answer, AnswerSource } from '../answer/answer.ts'
import type { BodySource, ResponseHead, TransportAttempt, TransportHandler } from '../transport/index.ts'
import { safeTrailers } from './trailers.ts'
import type { AttemptOwner, OutgoingRequest, UpstreamRuntime } from './types.ts'

const CONNECTING = 0
const SENDING = 1
const WAITING = 2
const RECEIVING = 3

/** Bytes of a dropped response that are read for the sake of its connection; beyond, a new one is cheaper. */
const SMALL_BODY = 64 * 1024
const NO_HEAD: ResponseHead = { status: 0, reason: '', headers: [], length: 0 }

export interface AttemptOptions {
  /** Never on a connection that has served before. */
  readonly fresh: boolean
  /** Follows an attempt at the same target. */
  readonly repeated: boolean
}

/**
 * One try of an exchange at one target. Holds a place at the target from `start` to `end`, and knows which timeout runs:
 * each phase has its own.
 */
export class Attempt implements TransportHandler, AnswerSource {
  readonly owner: AttemptOwner
  /** An exchange may go on at another upstream before an attempt is over. */
  readonly upstream: UpstreamRuntime
  readonly target: Target
  readonly fresh: boolean
  /** Follows an attempt at the same target. */
  readonly repeated: boolean
  /** Bytes may have reached the target. */
  sent = false
  /** When the present phase must be over, by the clock of the deadlines. */
  deadline = Number.POSITIVE_INFINITY
  startedAt = 0
  /** The attempt beside this one, where the exchange is hedged. */
  rival: Attempt | undefined = undefined
  head = NO_HEAD
  pairs: string[] = []

  private handle: TransportAttempt | undefined = undefined
  private answer: Answer | undefined = undefined
  private phase = CONNECTING
  /** Since when the target could have answered; negative when nobody asks. */
  private measuredFrom = -1
  private hasBody = false
  private latency: number | undefined = undefined
  private over = false
  /** The response is read to its end, but nobody gets it. */
  private discarded = false

  constructor(owner: AttemptOwner, target: Target, { fresh, repeated }: AttemptOptions) {
    this.owner = owner
    this.upstream = owner.upstream
    this.target = target
    this.fresh = fresh
    this.repeated = repeated
  }

  get reply(): FastifyReply {
    return this.owner.exchange.reply
  }

  start(request: OutgoingRequest, body: BodySource | undefined, headers: readonly string[]): void {
    const { upstream } = this
    const { exchange } = this.owner
    upstream.balancer.acquire(this.target)
    exchange.attempts++
    exchange.target = this.target.url
    this.startedAt = performance.now()
    if (upstream.balancer.measures) this.measuredFrom = this.startedAt
    this.hasBody = body !== undefined
    const handle = upstream.transport.dispatch(
      {
        target: this.target,
        method: request.method,
        path: request.path,
        headers,
        body,
        connectTimeout: upstream.timeouts.connect,
        fresh: this.fresh,
        upgrade: request.upgrade,
        expectContinue: request.expectContinue
      },
      this
    )
    // It may have failed on the spot.
    if (!this.over) this.handle = handle
  }

  onSent(): void {
    this.sent = true
    this.enter(SENDING)
  }

  onRequestEnd(): void {
    if (this.phase !== SENDING) return
    this.enter(WAITING)
    // How long the client took to send its body says nothing about the target.
    if (this.hasBody && this.measuredFrom >= 0) this.measuredFrom = performance.now()
  }

  onProgress(): void {
    // A response may begin before the request ends, and both go on for as long as either moves.
    if (this.phase === SENDING || this.phase === RECEIVING) this.enter(this.phase)
  }

  onInformation(status: number, headers: string[]): void {
    if (this.phase === WAITING) this.enter(WAITING)
    this.owner.onAttemptInformation(status, headers)
  }

  onHead(head: ResponseHead): void {
    this.enter(RECEIVING)
    this.head = head
    this.latency = this.measure()
    this.answer = this.owner.onAttemptHead(this, head)
  }

  onData(chunk: Buffer): boolean {
    this.enter(RECEIVING)
    if (this.answer === undefined) return true
    this.owner.exchange.bytes += chunk.length
    return this.answer.write(chunk)
  }

  onReadEnd(): void {
    if (this.discarded) this.end('failure')
    else this.answer?.flush()
  }

  onUpgrade(head: ResponseHead, socket: Duplex, early: Buffer): void {
    this.handle = undefined
    // To the balancer, the attempt has succeeded now, and not when its tunnel ends; that only keeps the place.
    const { balancer } = this.upstream
    balancer.release(this.target, 'success', this.measure())
    this.measuredFrom = -1
    balancer.acquire(this.target)
    this.owner.onAttemptUpgrade(this, head, socket, early)
  }

  onEnd(trailers: string[]): void {
    // The connection is free, and no longer ours to abort.
    this.handle = undefined
    if (this.discarded) {
      this.end('failure')
      return
    }
    this.end(this.head.status >= 500 ? 'error' : 'success')
    this.owner.onAttemptEnd()
    this.answer?.end(safeTrailers(trailers))
  }

  onError(error: Error): void {
    this.handle = undefined
    this.answer = undefined
    if (this.discarded) this.end('failure')
    else if (!this.over) this.owner.onAttemptError(this, error)
  }

  /** The present phase took too long. */
  onDeadline(): void {
    const { response, idle } = this.upstream.timeouts
    if (this.phase === WAITING) {
      this.handle?.abort()
      this.onError(new ResponseTimeoutError(response))
    } else {
      this.owner.onAttemptIdle(this, new IdleTimeoutError(idle))
    }
  }

  resume(): void {
    if (this.over) return
    this.enter(RECEIVING)
    this.handle?.resume()
  }

  cancel(): void {
    this.end('neutral')
    this.owner.onAttemptCancel()
  }

  /** Gives up the attempt, or its place at the target once it is done. To be called once at least. */
  end(outcome: Outcome): void {
    if (this.over) return
    this.over = true
    this.deadline = Number.POSITIVE_INFINITY
    this.handle?.abort()
    this.handle = undefined
    const { upstream } = this
    const { exchange } = this.owner
    exchange.targetTime += performance.now() - this.startedAt
    upstream.balancer.release(this.target, outcome, this.latency ?? this.measure())
    upstream.queue.wake()
  }

  /** Drops the response. A small one that has arrived already is read to its end, which keeps the connection. */
  discard(): void {
    if (this.head.length >= 0 && this.head.length <= SMALL_BODY) this.discarded = true
    else this.end('failure')
  }

  private measure(): number | undefined {
    return this.measuredFrom < 0 ? undefined : performance.now() - this.measuredFrom
  }

  private enter(phase: number): void {
    this.phase = phase
    const { timeouts } = this.upstream
    this.deadline = this.owner.deadlines.after(phase === WAITING ? timeouts.response : timeouts.idle)
  }
}
