import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { ResetBudget } from './reset-budget.ts'

/** Milliseconds that a client has to close its end of a connection that is over. */
const LINGER = 500

export interface SessionTimeouts {
  /** Milliseconds until a connection must have sent the head of its first request; 0 = no limit. */
  readonly firstRequest: number
  /** Milliseconds that a connection is kept without a request; 0 = no limit. */
  readonly idle: number
}

/** The HTTP/2 connections of a server: ends those that do nothing, or too much. */
export class Http2Sessions {
  private readonly timeouts: SessionTimeouts
  private readonly now: () => number
  private readonly sessions = new Set<ClientSession>()

  constructor(timeouts: SessionTimeouts, now: () => number) {
    this.timeouts = timeouts
    this.now = now
  }

  add(session: ServerHttp2Session, socket: Socket): void {
    const client = new ClientSession(session, socket, this.now)
    this.sessions.add(client)
    session.on('close', () => this.sessions.delete(client))
  }

  /** To be called every now and then. */
  sweep(): void {
    const now = this.now()
    for (const client of this.sessions) client.check(now, this.timeouts)
  }

  /** Closes connections without a request under way. */
  closeIdle(): void {
    for (const client of this.sessions) if (client.idle) client.close()
    this.sweep()
  }

  /** Takes no more requests, and closes each connection once those under way are done. */
  drain(): void {
    for (const client of this.sessions) client.close()
  }

  destroy(): void {
    for (const client of this.sessions) client.destroy()
  }
}

class ClientSession {
  private readonly session: ServerHttp2Session
  private readonly socket: Socket
  private readonly now: () => number
  private readonly resets: ResetBudget
  private readonly streams = new Set<ServerHttp2Stream>()
  private served = false
  /** When the connection began to do nothing but what is waited for now. */
  private since: number
  private written = 0
  private closingSince: number | undefined = undefined

  constructor(session: ServerHttp2Session, socket: Socket, now: () => number) {
    this.session = session
    this.socket = socket
    this.now = now
    this.since = now()
    this.resets = new ResetBudget(this.since)
    const closed = (stream: ServerHttp2Stream) => this.onStreamClose(stream)
    const onClose = function onClose(this: ServerHttp2Stream): void {
      closed(this)
    }
    session.on('stream', (stream) => {
      this.served = true
      this.streams.add(stream)
      stream.on('close', onClose)
    })
  }

  get idle(): boolean {
    return this.streams.size === 0
  }

  /** GOAWAY; streams that are open may go on. */
  close(): void {
    if (this.closingSince !== undefined) return
    this.closingSince = this.now()
    this.session.close()
  }

  destroy(): void {
    this.session.destroy()
    this.socket.destroy()
  }

  /** Tells the client why, and waits a moment for it to hear that. */
  private refuse(): void {
    this.closingSince ??= this.now()
    this.session.destroy(new Error('too many streams were reset'), constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }

  check(now: number, timeouts: SessionTimeouts): void {
    // Node.js forgets those that are reset without an error while it still has something to send.
    for (const stream of this.streams) if (stream.closed) stream.destroy()
    if (!this.idle) {
      this.checkReader(now, timeouts.idle)
    } else if (this.closingSince !== undefined) {
      // A client that never closes must not keep the socket.
      if (now - Math.max(this.closingSince, this.since) > LINGER) this.socket.destroy()
    } else {
      const limit = this.served ? timeouts.idle : timeouts.firstRequest
      if (limit > 0 && now - this.since > limit) this.close()
    }
  }

  /** A connection on which all is answered, and nothing of it taken, is one that nobody reads. */
  private checkReader(now: number, limit: number): void {
    const { bytesWritten } = this.socket
    if (bytesWritten !== this.written || ![...this.streams].every(({ writableEnded }) => writableEnded)) {
      this.written = bytesWritten
      this.since = now
    } else if (limit > 0 && now - this.since > limit) {
      this.destroy()
    }
  }

  private onStreamClose(stream: ServerHttp2Stream): void {
    const now = this.now()
    this.streams.delete(stream)
    this.since = now
    if (!isReset(stream)) this.resets.deposit()
    else if (!this.resets.take(now)) this.refuse()
  }
}

/** Whether a stream ended before its answer, and not because the answer broke off here. */
function isReset(stream: ServerHttp2Stream): boolean {
  if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) return false
  const { errored } = stream
  return errored === null || ('code' in errored && errored.code === 'ERR_HTTP2_STREAM_ERROR')
}
