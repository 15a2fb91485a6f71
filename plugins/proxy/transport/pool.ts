import { Connection, type ConnectionOwner, type ConnectionSocket } from './connection.ts'
import type { TransportAttempt, TransportHandler, TransportRequest } from './types.ts'

/**
 * Idle connections are closed after this many milliseconds, unless the target announced less: below the 5 s of Node's
 * own servers, so that reuse seldom meets a connection that its target is closing.
 */
const IDLE_LIMIT = 4_000
/** Kept off an announced `Keep-Alive: timeout`, for the time that a request needs to get there. */
const HINT_MARGIN = 1_000
const SWEEP_INTERVAL = 1_000

/** Opens connections to one target. */
export interface Opener {
  /** The event that says that the connection stands. */
  readonly connectEvent: 'connect' | 'secureConnect'
  open(): ConnectionSocket
}

/** The connections to one target. The one that was used last is taken first, so that spare ones grow old and go. */
export class Pool implements ConnectionOwner {
  private readonly dialer: Opener
  private readonly now: () => number
  private readonly onEmpty: () => void
  private readonly idle: Connection[] = []
  private readonly all = new Set<Connection>()
  private sweeper: NodeJS.Timeout | undefined = undefined

  constructor(dialer: Opener, now: () => number, onEmpty: () => void) {
    this.dialer = dialer
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
    const connection = new Connection(this, this.dialer.open(), this.dialer.connectEvent)
    this.all.add(connection)
    return connection
  }
}
