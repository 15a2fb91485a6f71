import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { Target } from '../../balancer/index.ts'
import { Connection, type ConnectionOwner } from './connection.ts'
import type { TransportAttempt, TransportHandler, TransportRequest } from './types.ts'

/** How TLS to the targets of an upstream is done. PEM texts. */
export interface TlsOptions {
  /** Refuse targets whose certificate is not valid for their name. @default true */
  readonly verify: boolean
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Name asked for and verified. @default the target's host name */
  readonly servername?: string | undefined
}

/**
 * Idle connections are closed after this many milliseconds, unless the target announced less: below the 5 s of Node's
 * own servers, so that reuse seldom meets a connection that its target is closing.
 */
const IDLE_LIMIT = 4_000
/** Kept off an announced `Keep-Alive: timeout`, for the time that a request needs to get there. */
const HINT_MARGIN = 1_000
const SWEEP_INTERVAL = 1_000

/** The connections to one target. The one that was used last is taken first, so that spare ones grow old and go. */
export class Pool implements ConnectionOwner {
  private readonly target: Target
  private readonly tls: TlsOptions
  private readonly now: () => number
  private readonly onEmpty: () => void
  private readonly idle: Connection[] = []
  private readonly all = new Set<Connection>()
  private session: Buffer | undefined = undefined
  private sweeper: NodeJS.Timeout | undefined = undefined

  constructor(target: Target, tls: TlsOptions, now: () => number, onEmpty: () => void) {
    this.target = target
    this.tls = tls
    this.now = now
    this.onEmpty = onEmpty
  }

  dispatch(request: TransportRequest, handler: TransportHandler): TransportAttempt {
    const connection = (request.fresh ? undefined : this.takeIdle()) ?? this.open()
    return connection.start(request, handler)
  }

  onFree(connection: Connection): void {
    const { keepAliveHint } = connection
    if (keepAliveHint >= 0 && keepAliveHint <= HINT_MARGIN) {
      connection.destroy()
      return
    }
    connection.idleSince = this.now()
    this.idle.push(connection)
    this.sweeper ??= setInterval(() => this.sweep(), SWEEP_INTERVAL).unref()
  }

  onClose(connection: Connection): void {
    this.all.delete(connection)
    const at = this.idle.lastIndexOf(connection)
    if (at >= 0) this.idle.splice(at, 1)
    if (this.all.size > 0) return
    clearInterval(this.sweeper)
    this.sweeper = undefined
    this.onEmpty()
  }

  destroy(): void {
    for (const connection of this.all) connection.destroy()
  }

  private takeIdle(): Connection | undefined {
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (!connection.unusable && !this.isOld(connection)) return connection
      connection.destroy()
    }
    return undefined
  }

  private isOld(connection: Connection): boolean {
    const { keepAliveHint } = connection
    const limit = keepAliveHint < 0 ? IDLE_LIMIT : Math.min(IDLE_LIMIT, keepAliveHint - HINT_MARGIN)
    return this.now() - connection.idleSince >= limit
  }

  private sweep(): void {
    for (const connection of this.idle) {
      if (this.isOld(connection)) connection.destroy()
    }
  }

  private open(): Connection {
    const secure = this.target.protocol === 'https:'
    const connection = new Connection(
      this,
      secure ? this.openTls() : this.openTcp(),
      secure ? 'secureConnect' : 'connect'
    )
    this.all.add(connection)
    return connection
  }

  private openTcp(): Socket {
    const { socketPath, hostname, port } = this.target
    if (socketPath !== undefined) return connectTcp({ path: socketPath })
    return connectTcp({ host: hostname, port, keepAlive: true })
  }

  private openTls(): Socket {
    const { hostname, port } = this.target
    const { verify, ca, cert, key, servername = isIP(hostname) === 0 ? hostname : undefined } = this.tls
    const options: ConnectionOptions = { host: hostname, port, rejectUnauthorized: verify, ALPNProtocols: ['http/1.1'] }
    if (ca !== undefined) options.ca = ca
    if (cert !== undefined) options.cert = cert
    if (key !== undefined) options.key = key
    if (servername !== undefined) options.servername = servername
    if (this.session !== undefined) options.session = this.session
    const socket = connectTls(options)
    socket.on('session', (session) => {
      this.session = session
    })
    return socket
  }
}
