import type { Target } from '../../../balancer/index.ts'
import { ConnectFailedError, InvalidTargetError } from '../../../errors.ts'
import { AppServer, type Events } from '../../../events/index.ts'
import type { ConnectionSocket } from '../connection.ts'
import { type Opener, Pool } from '../pool.ts'
import type { Transport, TransportAttempt, TransportHandler, TransportRequest } from '../types.ts'

const NOTHING_UNDER_WAY: TransportAttempt = { resume() {}, abort() {} }

/**
 * Carries attempts to other applications of this process: targets `app:NAME`. It is HTTP/1.1 as to any target, over
 * connections without sockets.
 */
export class AppTransport implements Transport {
  private readonly events: () => Events | undefined
  private readonly now: () => number
  private readonly pools = new Map<Target, Pool>()
  private readonly servers = new WeakMap<object, AppServer>()

  constructor(events: () => Events | undefined, now: () => number) {
    this.events = events
    this.now = now
  }

  dispatch(request: TransportRequest, handler: TransportHandler): TransportAttempt {
    const { target } = request
    const server = this.serverOf(target)
    if (server === undefined) {
      const cause = new InvalidTargetError(target.url, 'no app has that name')
      handler.onError(new ConnectFailedError({ cause }))
      return NOTHING_UNDER_WAY
    }
    let pool = this.pools.get(target)
    if (pool === undefined) {
      pool = new Pool(openerOf(server), this.now, () => this.pools.delete(target))
      this.pools.set(target, pool)
    }
    return pool.dispatch(request, handler)
  }

  destroy(): void {
    for (const pool of this.pools.values()) pool.destroy()
  }

  private serverOf(target: Target): AppServer | undefined {
    const app = this.events()?.apps.get(target.hostname)
    if (app === undefined) return undefined
    let server = this.servers.get(app)
    if (server === undefined) {
      server = new AppServer(app)
      this.servers.set(app, server)
    }
    return server
  }
}

function openerOf(server: AppServer): Opener {
  return { connectEvent: 'connect', open: (): ConnectionSocket => server.connect() }
}
