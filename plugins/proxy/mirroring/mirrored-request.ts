import type { Duplex } from 'node:stream'
import type { Outcome, Target } from '../../balancer/index.ts'
import { BadResponseError, ResponseTimeoutError } from '../../errors.ts'
import type { Expiring } from '../forwarding/deadlines.ts'
import type { OutgoingRequest } from '../forwarding/types.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import {
  type BodySink,
  type BodySource,
  isOverloaded,
  isStale,
  isUnprocessed,
  type ResponseHead,
  type TransportAttempt,
  type TransportHandler
} from '../transport/index.ts'
import type { Mirror, MirrorSetup } from './mirror.ts'
import { ResponseCopy } from './response-copy.ts'
import { shadowHost } from './shadow-host.ts'

const COLLECTING = 0
const SENDING = 1
/** The mirror has answered, and the primary has not yet. */
const ANSWERED = 2
const OVER = 3

/**
 * A copy of one request, sent to one mirror. It takes from the primary what passes anyway, waits for nobody, and nobody
 * waits for it.
 */
export class MirroredRequest implements TransportHandler, BodySource, Expiring {
  readonly length: number
  deadline = Number.POSITIVE_INFINITY

  private readonly mirror: Mirror
  private readonly setup: MirrorSetup
  private readonly exchange: GatewayExchange
  private readonly outgoing: OutgoingRequest
  private readonly key: string | undefined
  private readonly hold = (bytes: number): void => {
    this.mirror.heldBytes += bytes
  }
  private phase = COLLECTING
  private chunks: Buffer[] = []
  private bodyBytes = 0
  private trailers: readonly string[] = []
  private target: Target | undefined = undefined
  private handle: TransportAttempt | undefined = undefined
  private startedAt = 0
  private latency: number | undefined = undefined
  private received = 0
  private status = 0
  private response: ResponseCopy | undefined = undefined
  private primary: ResponseCopy | undefined = undefined
  private primaryComplete: boolean | undefined = undefined

  constructor(
    mirror: Mirror,
    setup: MirrorSetup,
    exchange: GatewayExchange,
    outgoing: OutgoingRequest,
    key: string | undefined
  ) {
    this.mirror = mirror
    this.setup = setup
    this.exchange = exchange
    this.outgoing = outgoing
    this.key = key
    this.length = outgoing.body?.length ?? 0
  }

  /** Whether the primary's response is of interest. */
  get compares(): boolean {
    return this.mirror.compare !== undefined && this.phase !== OVER
  }

  onBodyData(chunk: Buffer): void {
    if (this.phase !== COLLECTING) return
    this.bodyBytes += chunk.length
    if (this.bodyBytes > this.setup.config.bodyLimit) {
      this.bodyBytes -= chunk.length
      this.mirror.counters.droppedBody++
      this.leave()
      return
    }
    this.chunks.push(chunk)
    this.hold(chunk.length)
  }

  /** The request is here as a whole. */
  onBodyEnd(trailers: readonly string[]): void {
    if (this.phase !== COLLECTING) return
    this.trailers = trailers
    this.phase = SENDING
    // The primary's own work of this turn comes first.
    setImmediate(() => this.send())
  }

  /** The rest of the request will not come. */
  onBodyLost(): void {
    if (this.phase !== COLLECTING) return
    this.mirror.counters.droppedIncomplete++
    this.leave()
  }

  onPrimaryHead(head: ResponseHead): void {
    // There is one before where a target failed within its answer, and another was asked.
    this.primary?.drop()
    const limit = this.setup.config.compare?.bodyLimit ?? 0
    if (this.compares) this.primary = new ResponseCopy(head, limit, this.hold)
  }

  onPrimaryData(chunk: Buffer): void {
    if (this.phase !== OVER) this.primary?.write(chunk)
  }

  onPrimaryEnd(complete: boolean): void {
    this.primaryComplete = complete
    if (this.phase === ANSWERED) this.compareSoon()
  }

  start(sink: BodySink): void {
    for (const chunk of this.chunks) sink.writeBody(chunk)
    sink.endBody(this.trailers)
  }

  resume(): void {}
  stop(): void {}
  onSent(): void {}
  onRequestEnd(): void {}
  onProgress(): void {}
  onInformation(): void {}
  onReadEnd(): void {}

  onHead(head: ResponseHead): void {
    this.latency = performance.now() - this.startedAt
    this.status = head.status
    const { compare } = this.setup.config
    if (compare !== undefined) this.response = new ResponseCopy(head, compare.bodyLimit, this.hold)
  }

  onData(chunk: Buffer): boolean {
    this.received += chunk.length
    this.response?.write(chunk)
    if (this.received <= this.setup.config.responseLimit) return true
    this.response?.drop()
    this.handle?.abort()
    this.onEnd()
    return false
  }

  onEnd(): void {
    if (this.phase !== SENDING) return
    this.release(this.status >= 500 ? 'error' : 'success')
    this.mirror.onAnswered()
    this.dropBody()
    if (this.response === undefined) {
      this.leave()
      return
    }
    this.phase = ANSWERED
    if (this.primaryComplete === undefined) this.deadline = this.setup.deadlines.after(this.setup.config.timeout)
    else this.compareSoon()
  }

  onUpgrade(_head: ResponseHead, socket: Duplex): void {
    socket.destroy()
    this.onError(new BadResponseError('protocols switched unasked'))
  }

  onError(error: Error): void {
    if (this.phase !== SENDING) return
    this.mirror.counters.failed++
    this.fail(error, isStale(error) || isUnprocessed(error) || isOverloaded(error) ? 'neutral' : 'failure')
  }

  onDeadline(): void {
    if (this.phase === ANSWERED) {
      this.mirror.counters.notCompared++
      this.leave()
      return
    }
    this.handle?.abort()
    this.mirror.counters.timedOut++
    // The mirror's own patience is short: others may find the target fast enough.
    this.fail(new ResponseTimeoutError(this.setup.config.timeout), 'neutral')
  }

  /** The gateway closes. */
  cancel(): void {
    const { counters } = this.mirror
    if (this.phase === COLLECTING || (this.phase === SENDING && this.target === undefined)) counters.droppedIncomplete++
    else if (this.phase === SENDING) counters.cancelled++
    else if (this.phase === ANSWERED) counters.notCompared++
    this.handle?.abort()
    if (this.phase === SENDING) this.release('neutral')
    this.leave()
  }

  private send(): void {
    if (this.phase !== SENDING) return
    const { runtime, config, deadlines } = this.setup
    const { balancer, queue, transport, timeouts } = runtime
    // Requests of others that wait for a place come before any copy.
    const isClosed = queue.length > 0 || balancer.gate?.admit() === false
    const target = isClosed ? undefined : balancer.get({ key: this.key, tried: undefined })
    if (target === undefined) {
      this.mirror.counters.droppedNoTarget++
      this.leave()
      return
    }
    balancer.acquire(target)
    this.target = target
    this.startedAt = performance.now()
    this.mirror.counters.sent++
    deadlines.add(this)
    this.deadline = deadlines.after(config.timeout)
    const { method, path, headers, host, body } = this.outgoing
    const [name = 'host', , ...rest] = headers
    const authority = host ?? target.authority
    try {
      const handle = transport.dispatch(
        {
          target,
          method,
          path,
          headers: [name, config.shadowHost ? shadowHost(authority) : authority, ...rest],
          body: body === undefined ? undefined : this,
          connectTimeout: timeouts.connect,
          fresh: false,
          upgrade: undefined,
          expectContinue: false
        },
        this
      )
      if (this.phase === SENDING) this.handle = handle
    } catch (error) {
      this.onError(error instanceof Error ? error : new Error(String(error)))
    }
  }

  private fail(error: Error, outcome: Outcome): void {
    this.mirror.onFailed(error, this.target?.url ?? '')
    this.release(outcome)
    this.leave()
  }

  private release(outcome: Outcome): void {
    const { target, setup } = this
    this.handle = undefined
    this.target = undefined
    if (target === undefined) return
    const { balancer, queue } = setup.runtime
    const measured = balancer.measures ? (this.latency ?? performance.now() - this.startedAt) : undefined
    balancer.release(target, outcome, measured)
    queue.wake()
  }

  /** Not within what led to it, which may be the primary's answer on its way out. */
  private compareSoon(): void {
    this.deadline = Number.POSITIVE_INFINITY
    setImmediate(() => {
      if (this.phase === ANSWERED) this.compareNow()
    })
  }

  private compareNow(): void {
    const { mirror, primary, response, exchange, outgoing } = this
    const { counters, compare } = mirror
    const isComparable = this.primaryComplete === true && primary !== undefined && response !== undefined
    const compared = isComparable ? compare?.(primary, response) : undefined
    this.leave()
    if (compared?.whole === true) counters.compared++
    else counters.notCompared++
    if (compared === undefined || compared.differences.length === 0) return
    counters.different++
    mirror.report({
      route: mirror.route,
      upstream: exchange.upstream,
      mirror: mirror.upstream,
      requestId: exchange.request.id,
      method: outgoing.method,
      path: outgoing.path,
      differences: compared.differences
    })
  }

  private dropBody(): void {
    this.chunks = []
    this.hold(-this.bodyBytes)
    this.bodyBytes = 0
  }

  private leave(): void {
    this.phase = OVER
    this.setup.deadlines.delete(this)
    this.dropBody()
    this.response?.drop()
    this.primary?.drop()
    this.mirror.end(this)
  }
}
