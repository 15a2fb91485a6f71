import type { Target, TlsOptions } from '../../../balancer/index.ts'
import type { Transport, TransportAttempt, TransportHandler, TransportRequest } from '../types.ts'
import { SessionPool } from './session-pool.ts'

/**
 * HTTP/2 on `node:http2`: over TLS as agreed on by ALPN, over TCP and unix sockets with prior knowledge. Requests to a
 * target share a session.
 */
export class Http2Transport implements Transport {
  private readonly tls: TlsOptions
  private readonly now: () => number
  private readonly pools = new Map<Target, SessionPool>()

  constructor(tls: TlsOptions, now: () => number) {
    this.tls = tls
    this.now = now
  }

  dispatch(request: TransportRequest, handler: TransportHandler): TransportAttempt {
    const { target } = request
    let pool = this.pools.get(target)
    if (pool === undefined) {
      // A pool goes with its last session, so that nothing is left of a target that was removed.
      pool = new SessionPool(target, this.tls, this.now, () => this.pools.delete(target))
      this.pools.set(target, pool)
    }
    return pool.dispatch(request, handler)
  }

  destroy(): void {
    for (const pool of this.pools.values()) pool.destroy()
  }
}
