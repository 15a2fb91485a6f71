import type { Target, TlsOptions } from '../../balancer/index.ts'
import { Dialer } from './dialer.ts'
import { Pool } from './pool.ts'
import type { Transport, TransportAttempt, TransportHandler, TransportRequest } from './types.ts'

export { isOverloaded, isStale, isUnprocessed } from './connection.ts'
export { Http2Transport } from './http2/transport.ts'
export { AppTransport } from './in-process/app-transport.ts'
export { FunctionTransport } from './in-process/function-transport.ts'
export { TargetTransport } from './target-transport.ts'
export type {
  BodySink,
  BodySource,
  ResponseHead,
  Transport,
  TransportAttempt,
  TransportHandler,
  TransportRequest,
  Unprocessed
} from './types.ts'

/** HTTP/1.1 over TCP, TLS or a unix socket, on pools of keep-alive connections, one pool a target. */
export class Http1Transport implements Transport {
  private readonly tls: TlsOptions
  private readonly now: () => number
  private readonly pools = new Map<Target, Pool>()
  /** They outlive the pools: the first connection after a pause can still resume the TLS session. */
  private readonly dialers = new WeakMap<Target, Dialer>()

  constructor(tls: TlsOptions, now: () => number) {
    this.tls = tls
    this.now = now
  }

  dispatch(request: TransportRequest, handler: TransportHandler): TransportAttempt {
    const { target } = request
    let pool = this.pools.get(target)
    if (pool === undefined) {
      // A pool goes with its last connection, so that nothing is left of a target that was removed.
      pool = new Pool(this.dialerOf(target), this.now, () => this.pools.delete(target))
      this.pools.set(target, pool)
    }
    return pool.dispatch(request, handler)
  }

  destroy(): void {
    for (const pool of this.pools.values()) pool.destroy()
  }

  private dialerOf(target: Target): Dialer {
    let dialer = this.dialers.get(target)
    if (dialer === undefined) {
      dialer = new Dialer(target, this.tls, 'http/1.1')
      this.dialers.set(target, dialer)
    }
    return dialer
  }
}
