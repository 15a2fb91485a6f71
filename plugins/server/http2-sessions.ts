import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { drawAge } from './connection-age.ts'
import { ResetBudget } from './reset-budget.ts'

/** Milliseconds that a client has to close its end of a connection that is over. */
const LINGER = 500
/** The highest identifier of a stream: none is refused that the client has begun already. */
const ALL_STREAMS = 2 ** 31 - 1

/** In milliseconds; 0 = no limit. */
export interface SessionTimeouts {
  /** Until a connection must have sent the head of its first request. */
  readonly firstRequest: number
  /** Until a request must be here as a whole. */
  readonly request: number
  /** How long a connection is kept without a request. */
  readonly idle: number
  /** How old a connection may become. */
  readonly age: number
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
    const client = new ClientSession(session, socket, this.now, this.timeouts.age)
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
  /** Streams that are open, and since when. */
  private readonly streams = new Map<ServerHttp2Stream, number>()
  private served = false
  /** When the connection began to do nothing but what is waited for now. */
  private since: number
  private written = 0
  /** When it is too old. */
  private readonly until: number
  private retired = false
  private closing = false
  /** When the last byte had left. */
  private flushedAt: number | undefined = undefined

  constructor(session: ServerHttp2Session, socket: Socket, now: () => number, age: number) {
    this.session = session
    this.socket = socket
    this.now = now
    this.since = now()
    this.until = age === 0 ? Number.POSITIVE_INFINITY : this.since + drawAge(age)
    this.resets = new ResetBudget(this.since)
    const closed = (stream: ServerHttp2Stream) => this.onStreamClose(stream)
    const onClose = function onClose(this: ServerHttp2Stream): void {
      closed(this)
    }
    session.on('stream', (stream) => {
      this.served = true
      this.streams.set(stream, now())
      stream.on('close', onClose)
    })
  }

  get idle(): boolean {
    return this.streams.size === 0
  }

  /** GOAWAY; streams that are open may go on. */
  close(): void {
    if (this.closing) return
    this.closing = true
    this.session.close()
  }

  destroy(): void {
    this.session.destroy()
    this.socket.destroy()
  }

  check(now: number, timeouts: SessionTimeouts): void {
    if (now >= this.until) this.retire()
    for (const [stream, startedAt] of this.streams) {
      // Node.js forgets those that are reset without an error while it still has something to send.
      if (stream.closed) stream.destroy()
      else if (timeouts.request > 0 && now - startedAt > timeouts.request) expire(stream)
    }
    if (!this.idle) {
      this.checkReader(now, timeouts.idle)
    } else if (this.closing) {
      this.checkEnd(now, timeouts.idle)
    } else {
      const limit = this.served ? timeouts.idle : timeouts.firstRequest
      if (limit > 0 && now - this.since > limit) this.close()
    }
  }

  /**
   * Takes what is on its way already, and nothing more after the next look (RFC 9113, section 6.8).
   */
  private retire(): void {
    if (this.retired) this.close()
    else if (!this.closing) this.session.goaway(constants.NGHTTP2_NO_ERROR, ALL_STREAMS)
    this.retired = true
  }

  /** A connection on which all is answered, and nothing of it taken, is one that nobody reads. */
  private checkReader(now: number, limit: number): void {
    const { bytesWritten } = this.socket
    if (bytesWritten !== this.written || ![...this.streams.keys()].every(({ writableEnded }) => writableEnded)) {
      this.written = bytesWritten
      this.since = now
    } else if (limit > 0 && now - this.since > limit) {
      this.destroy()
    }
  }

  /** A client that never closes, or reads, must not keep the socket. */
  private checkEnd(now: number, limit: number): void {
    if (this.socket.writableFinished) {
      this.flushedAt ??= now
      if (now - this.flushedAt > LINGER) this.socket.destroy()
    } else if (limit > 0 && now - this.since > limit + LINGER) {
      this.socket.destroy()
    }
  }

  private onStreamClose(stream: ServerHttp2Stream): void {
    const now = this.now()
    this.streams.delete(stream)
    this.since = now
    if (!isReset(stream)) this.resets.deposit()
    else if (!this.resets.take(now)) this.refuse()
  }

  private refuse(): void {
    this.closing = true
    this.session.destroy(new Error('too many streams were reset'), constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }
}

/** Whether a stream ended before its answer, and not because the answer broke off here. */
function isReset(stream: ServerHttp2Stream): boolean {
  if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) return false
  const { errored } = stream
  return errored === null || ('code' in errored && errored.code === 'ERR_HTTP2_STREAM_ERROR')
}

/** Gives up a request of which a part is still missing. */
function expire(stream: ServerHttp2Stream): void {
  if (stream.endAfterHeaders || stream.state.remoteClose === 1) return
  if (stream.headersSent) {
    stream.destroy(new Error('the request took too long'))
    return
  }
  stream.respond({ ':status': constants.HTTP_STATUS_REQUEST_TIMEOUT }, { endStream: true })
  stream.close(constants.NGHTTP2_NO_ERROR)
}
