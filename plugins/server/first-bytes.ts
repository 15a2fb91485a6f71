import type { Socket } from 'node:net'

/** What an HTTP/2 client sends first (RFC 9113, section 3.4). No request of HTTP/1.1 begins with it. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export interface ByteHandlers {
  /** The connection speaks HTTP/1.1. What was read is put back. */
  http1(socket: Socket): void
  /** The connection speaks HTTP/2. What was read is put back, and the socket is paused. */
  http2(socket: Socket): void
  /** Nothing that decides it has come in time. */
  late(socket: Socket): void
}

/**
 * Tells by the first bytes of a connection which protocol its client speaks. After them, nothing of this is left on the
 * socket. Until then the connection can be closed without a loss, which Node.js does not know of one that is silent.
 */
export class FirstBytes {
  private readonly handlers: ByteHandlers
  private readonly waiting = new Map<Socket, Waiting>()

  constructor(handlers: ByteHandlers) {
    this.handlers = handlers
  }

  read(socket: Socket, now: number): void {
    this.waiting.set(socket, new Waiting(now, socket, (protocol) => this.decide(socket, protocol)))
  }

  /** Gives up connections that wait longer than `limit` milliseconds; 0 = no limit. */
  sweep(now: number, limit: number): void {
    if (limit === 0) return
    for (const [socket, { since }] of this.waiting) {
      if (now - since > limit) this.decide(socket, 'late')
    }
  }

  /** Closes connections whose client has not said anything yet. */
  close(): void {
    for (const socket of this.waiting.keys()) socket.destroy()
  }

  private decide(socket: Socket, outcome: keyof ByteHandlers | 'gone'): void {
    this.waiting.get(socket)?.stop()
    this.waiting.delete(socket)
    if (outcome !== 'gone') this.handlers[outcome](socket)
  }
}

class Waiting {
  readonly since: number
  private readonly socket: Socket
  private readonly done: (outcome: 'http1' | 'http2' | 'gone') => void
  private held: Buffer | undefined = undefined

  private readonly onData = (chunk: Buffer): void => {
    const bytes = this.held === undefined ? chunk : Buffer.concat([this.held, chunk])
    const compared = Math.min(bytes.length, PREFACE.length)
    const matches = PREFACE.compare(bytes, 0, compared, 0, compared) === 0
    if (matches && bytes.length < PREFACE.length) {
      this.held = bytes
      return
    }
    // Paused, so that what is put back waits for its reader.
    this.socket.pause()
    this.socket.unshift(bytes)
    this.done(matches ? 'http2' : 'http1')
  }

  private readonly onEnd = (): void => {
    this.socket.destroy()
  }

  private readonly onClose = (): void => this.done('gone')

  constructor(since: number, socket: Socket, done: (outcome: 'http1' | 'http2' | 'gone') => void) {
    this.since = since
    this.socket = socket
    this.done = done
    socket.on('data', this.onData)
    socket.on('end', this.onEnd)
    socket.on('error', ignore)
    socket.on('close', this.onClose)
  }

  stop(): void {
    this.socket.off('data', this.onData)
    this.socket.off('end', this.onEnd)
    this.socket.off('error', ignore)
    this.socket.off('close', this.onClose)
  }
}

/** The close that follows says enough. */
function ignore(): void {}
