import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { ConnectFailedError, ConnectTimeoutError } from '../../../errors.ts'
import { afterPoll, type Polled } from '../after-poll.ts'
import type { Dialer } from '../dialer.ts'
import { goawayError, type SessionState } from './failures.ts'
import { Pulse, type PulseSource } from './pulse.ts'
import type { Fields } from './request-fields.ts'

/** What a session needs of the pool that owns it. */
export interface SessionOwner {
  /** Streams at once that a session may have, whatever its target takes. */
  readonly streamLimit: number
  /** The target turned a stream away, with too much to do; so many others are open on that session. */
  onOverload(open: number): void
  /** The session takes more requests than before, or none any more. */
  onChange(session: Session): void
  /** The connection is gone; the error, if it never came to a session. */
  onClose(session: Session, error: Error | undefined): void
}

/** Tells an attempt that everything read so far was handed on. */
export interface ReadEndListener {
  onReadEnd(): void
}

const CONNECTING = 0
const OPEN = 1
/** No request is begun any more; those under way go on. */
const LEAVING = 2
const CLOSED = 3

/** Streams at once, where the target names no limit or a higher one. */
const MAX_STREAMS = 1_000
/** What a target that names no limit says, by way of Node.js. */
const UNLIMITED = 2 ** 32 - 1
/** Streams at once where the target names no limit: the least that RFC 9113 recommends to allow, in section 6.5.2. */
export const USUAL_LIMIT = 100
/** The last of the 2^31 stream identifiers are left alone. */
const LAST_STREAM = 2 ** 31 - 1_000
/** Bytes that may be under way on a stream, and so be held for a client that does not read; and on the connection. */
const STREAM_WINDOW = 256 * 1024
const SESSION_WINDOW = 1024 * 1024

/** Idle sessions are closed after this many milliseconds. A GOAWAY makes it harmless if the target does so earlier. */
const IDLE_LIMIT = 30_000
/** A session that was told to end has this long. */
const LEAVE_LIMIT = 1_000

const OPTIONS = {
  settings: { enablePush: false, initialWindowSize: STREAM_WINDOW, maxHeaderListSize: 128 * 1024 },
  maxHeaderListPairs: 4_096,
  maxSendHeaderBlockLength: 1024 * 1024
}

/** One HTTP/2 connection to a target, and the streams on it. */
export class Session implements SessionState, PulseSource, Polled {
  /** It had nothing to do for a time, in which the target may have closed it. */
  rested = false
  lastStreamId = Number.POSITIVE_INFINITY
  failure: Error | undefined = undefined
  /** News of the connection are being waited for. */
  polling = false

  private readonly owner: SessionOwner
  private readonly socket: Socket
  private readonly now: () => number
  private readonly connectTimeout: number
  private http2: ClientHttp2Session | undefined = undefined
  private state = CONNECTING
  private limit = 0
  /** Attempts under way. */
  private active = 0
  /** Streams that are not closed yet; those of attempts that are over may take a little longer. */
  private streams = 0
  private connectTimer: NodeJS.Timeout | undefined = undefined
  private timedOut = false
  private readonly pulse: Pulse
  private idleSince = 0
  private readonly readers: ReadEndListener[] = []

  constructor(owner: SessionOwner, dialer: Dialer, connectTimeout: number, now: () => number) {
    this.owner = owner
    this.connectTimeout = connectTimeout
    this.now = now
    this.pulse = new Pulse(this, now)
    const socket = dialer.open()
    this.socket = socket
    socket.setNoDelay(true)
    socket.once(dialer.connectEvent, () => this.onConnect())
    socket.on('error', (error) => {
      this.failure ??= error
      // An alert that comes after the handshake would leave it open.
      socket.destroy()
    })
    socket.on('close', () => this.onClose())
    if (connectTimeout > 0) {
      this.connectTimer = setTimeout(() => {
        this.timedOut = true
        socket.destroy()
      }, connectTimeout)
    }
  }

  get connecting(): boolean {
    return this.state === CONNECTING
  }

  get alive(): boolean {
    return this.state < CLOSED && this.http2?.destroyed === false
  }

  /** Has nothing to do, and may have been closed by the target without anybody having noticed. */
  get resting(): boolean {
    return this.rested && this.active === 0
  }

  /** Streams that can be opened now. */
  get room(): number {
    if (this.state !== OPEN || this.http2 === undefined || this.http2.closed || this.http2.destroyed) return 0
    return Math.max(0, Math.min(this.limit, this.owner.streamLimit) - this.streams)
  }

  /** Streams that the target takes at once; undefined before it has said so, and after the end. */
  get capacity(): number | undefined {
    return this.state === OPEN ? Math.min(this.limit, this.owner.streamLimit) : undefined
  }

  /** Bytes received. */
  get bytesRead(): number {
    return this.socket.bytesRead
  }

  /** Opens a stream. Throws what Node.js finds wrong with the fields. */
  request(fields: Fields, endStream: boolean): ClientHttp2Stream {
    if (this.http2 === undefined) throw new Error('not connected')
    // Trailers or not, this is also what keeps a reset in the middle of a body from being preceded by its end.
    const stream = this.http2.request(fields, { endStream, waitForTrailers: !endStream })
    this.pulse.expect(this.active === 0)
    this.active++
    if (this.streams++ === 0) this.socket.ref()
    if ((stream.id ?? 0) > LAST_STREAM) this.leave()
    return stream
  }

  /** Tells the owner once all news of the connection have been heard, if it still stands. */
  poll(): void {
    if (this.polling) return
    this.polling = true
    afterPoll(this)
  }

  onPolled(): void {
    this.polling = false
    this.owner.onChange(this)
  }

  /** The attempt of a stream is over. */
  settle(): void {
    if (--this.active > 0) return
    this.rested = true
    this.idleSince = this.now()
  }

  /** A stream was closed; turned away, when the target had too much to do for it. */
  release(turnedAway: boolean): void {
    if (--this.streams === 0) this.socket.unref()
    if (turnedAway) this.owner.onOverload(this.streams)
    this.owner.onChange(this)
  }

  /** An attempt was given up to which nothing had come in answer, and nothing else on the session either. */
  suspect(): void {
    if (this.pulse.suspicious) this.leave()
  }

  ping(onAnswer: () => void): void {
    if (!this.alive) return
    this.http2?.ping((error) => {
      if (error === null) onAnswer()
    })
  }

  /** Calls `onReadEnd` once what arrived in this turn of the event loop is handed on. */
  notifyReadEnd(reader: ReadEndListener): void {
    if (this.readers.push(reader) === 1) setImmediate(this.onReadEnd)
  }

  /** Looks after what nobody else would notice: that nothing happens. To be called about once a second. */
  check(): void {
    if (this.active === 0) {
      const idle = this.now() - this.idleSince
      if (this.state === OPEN && idle >= IDLE_LIMIT) this.leave()
      else if (this.state === LEAVING && idle >= LEAVE_LIMIT) this.destroy()
      return
    }
    const verdict = this.pulse.check()
    if (verdict === 'alive') return
    this.leave()
    if (verdict === 'doubtful') return
    this.failure ??= new Error('the target does not answer a PING')
    this.destroy()
  }

  destroy(): void {
    this.socket.destroy()
  }

  private onConnect(): void {
    const { socket } = this
    const secure = socket instanceof TLSSocket
    if (secure && socket.alpnProtocol !== 'h2') {
      this.failure = new Error('the target did not agree on HTTP/2 in the TLS handshake (ALPN)')
      socket.destroy()
      return
    }
    const http2 = connect(secure ? 'https://target' : 'http://target', { ...OPTIONS, createConnection: () => socket })
    this.http2 = http2
    http2.setLocalWindowSize(SESSION_WINDOW)
    http2.on('error', (error) => {
      this.failure ??= error
    })
    http2.on('remoteSettings', ({ maxConcurrentStreams = UNLIMITED }) => this.onSettings(maxConcurrentStreams))
    http2.on('goaway', (code, lastStreamId, debug) => {
      this.failure ??= goawayError(code, debug)
      this.lastStreamId = Math.min(this.lastStreamId, lastStreamId)
      this.leave()
    })
  }

  private onSettings(limit: number): void {
    this.limit = limit === UNLIMITED ? USUAL_LIMIT : Math.min(limit, MAX_STREAMS)
    if (this.state === CONNECTING) {
      this.state = OPEN
      this.idleSince = this.now()
      clearTimeout(this.connectTimer)
      this.socket.unref()
    }
    this.owner.onChange(this)
  }

  private onClose(): void {
    clearTimeout(this.connectTimer)
    const error = this.state === CONNECTING ? this.connectError() : undefined
    this.state = CLOSED
    this.owner.onClose(this, error)
  }

  private connectError(): Error {
    if (this.timedOut) return new ConnectTimeoutError(this.connectTimeout)
    return new ConnectFailedError({ cause: this.failure ?? new Error('closed before the first SETTINGS') })
  }

  private readonly onReadEnd = (): void => {
    for (const reader of this.readers.splice(0)) reader.onReadEnd()
  }

  private leave(): void {
    if (this.state !== OPEN) return
    this.state = LEAVING
    if (this.active === 0) this.idleSince = this.now()
    this.http2?.close()
    this.owner.onChange(this)
  }
}
