import type { FastifyBaseLogger } from 'fastify'
import type { RouteConfig } from '../../config/index.ts'
import type { Deadlines } from '../forwarding/deadlines.ts'
import type { OutgoingRequest, UpstreamRuntime } from '../forwarding/types.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import { type Compare, compileComparison } from './comparison.ts'
import { MirroredRequest } from './mirrored-request.ts'
import type { MirrorReport, Mirrors } from './mirrors.ts'

/**
 * What has become of the requests that were to be copied: each is dropped, or sent and then answered, failed, timed out,
 * cancelled or still under way.
 */
export interface MirrorCounters {
  sent: number
  /** The response came, whole or up to `responseLimit`, whatever its status. */
  answered: number
  failed: number
  timedOut: number
  /** The gateway closed. */
  cancelled: number
  /** Not sent, since the body was larger than `bodyLimit`. */
  droppedBody: number
  /** Not sent, since `maxInFlight` were kept or under way. */
  droppedBusy: number
  /** Not sent, since no target was available, requests of others wait for one, or a circuit breaker is open. */
  droppedNoTarget: number
  /** Not sent, since the request did not come whole before it was answered, or the gateway closed. */
  droppedIncomplete: number
  /** Both responses came and were compared, all that is to be. */
  compared: number
  /** Of all comparisons, also of those without bodies, the ones that found a difference. */
  different: number
  /** Answered, but bodies or whole responses could not be compared. */
  notCompared: number
}

export type MirrorConfig = RouteConfig['mirrors'][number]

export interface MirrorSetup {
  readonly route: string
  readonly config: MirrorConfig
  readonly runtime: UpstreamRuntime
  /** Reads what the strategy of the mirror's upstream hashes. */
  readonly key: (exchange: GatewayExchange) => string | undefined
  readonly deadlines: Deadlines
  readonly mirrors: Mirrors
  readonly random: () => number
  readonly log: FastifyBaseLogger
}

/** One upstream that gets copies of the requests of one route. */
export class Mirror {
  /** Id of the route. */
  readonly route: string
  /** Name of the upstream that gets the copies. */
  readonly upstream: string
  readonly counters: MirrorCounters = {
    sent: 0,
    answered: 0,
    failed: 0,
    timedOut: 0,
    cancelled: 0,
    droppedBody: 0,
    droppedBusy: 0,
    droppedNoTarget: 0,
    droppedIncomplete: 0,
    compared: 0,
    different: 0,
    notCompared: 0
  }
  /** Bytes of bodies that are kept at present. */
  heldBytes = 0

  readonly #setup: MirrorSetup
  readonly #compare: Compare | undefined
  readonly #requests = new Set<MirroredRequest>()
  /** Whether the latest copy failed: a mirror that is down is worth one line of the log, not one for each request. */
  #failing = false

  constructor(setup: MirrorSetup) {
    this.#setup = setup
    this.route = setup.route
    this.upstream = setup.config.upstream
    this.#compare = setup.config.compare === undefined ? undefined : compileComparison(setup.config.compare)
  }

  /** Copies that are kept or under way, or wait for the primary's response to be compared with. */
  get inFlight(): number {
    return this.#requests.size
  }

  /** @internal */
  get compare(): Compare | undefined {
    return this.#compare
  }

  /** A copy of the request, if it is to have one; for the gateway. @internal */
  begin(exchange: GatewayExchange, outgoing: OutgoingRequest): MirroredRequest | undefined {
    const { config, random } = this.#setup
    if (config.percent < 100 && random() * 100 >= config.percent) return undefined
    const length = outgoing.body?.length ?? 0
    if (length > config.bodyLimit) this.counters.droppedBody++
    else if (this.#requests.size >= config.maxInFlight) this.counters.droppedBusy++
    else {
      const request = new MirroredRequest(this, this.#setup, exchange, outgoing, this.#setup.key(exchange))
      this.#requests.add(request)
      return request
    }
    return undefined
  }

  /** @internal */
  end(request: MirroredRequest): void {
    this.#requests.delete(request)
  }

  /** @internal */
  onAnswered(): void {
    this.counters.answered++
    if (!this.#failing) return
    this.#failing = false
    this.#setup.log.info({ route: this.route, upstream: this.upstream }, 'mirror answers again')
  }

  /** @internal */
  onFailed(error: Error, target: string): void {
    this.#setup.log[this.#failing ? 'debug' : 'warn'](
      { err: error, route: this.route, upstream: this.upstream, target },
      'mirrored request failed'
    )
    this.#failing = true
  }

  /** @internal */
  report(report: MirrorReport): void {
    const { mirrors, log } = this.#setup
    // Values may be somebody's secrets: they are for listeners, and not for the log.
    const differences = report.differences.map(({ at, path }) => (path === '' ? at : `${at} ${path}`))
    log.info({ ...report, differences }, 'mirror answers differently')
    try {
      mirrors.emit('difference', report)
    } catch (error) {
      log.error({ err: error }, 'a listener for differences threw')
    }
  }

  /** Ends all that is under way. @internal */
  close(): void {
    for (const request of this.#requests) request.cancel()
  }
}
