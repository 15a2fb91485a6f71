import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { isBroken } from './client-error.ts'

/** Requests of one connection that may wait for their turn; with more of them, the connection is not read. */
const MAX_WAITING = 100

/** The requests of a connection that wait for those before them. */
class Line {
  private readonly socket: Socket
  private waiting = 0
  private paused = false

  constructor(socket: Socket) {
    this.socket = socket
    // Node.js reads on whenever it is done with a request or has written something.
    socket.on('resume', () => {
      if (this.paused) socket.pause()
    })
  }

  enter(): void {
    this.waiting++
    if (this.paused || this.waiting <= MAX_WAITING) return
    this.paused = true
    // Not at once: Node.js would read on at the end of this very request.
    process.nextTick(() => this.paused && this.socket.pause())
  }

  leave(): void {
    this.waiting--
    if (!this.paused || this.waiting > MAX_WAITING / 2) return
    this.paused = false
    this.socket.resume()
  }
}

const lines = new WeakMap<Socket, Line>()

/** Whether requests that came before on the same connection are still to be answered. */
export function mustWait({ socket }: ServerResponse): boolean {
  return socket === null
}

/**
 * Calls `begin` once all requests before this one on its connection are answered. Node.js hands out pipelined requests
 * all at once. Their answers go out in order; but requests that are forwarded at the same time may arrive in any order,
 * and unsafe ones must not even be processed at the same time (RFC 9112, section 9.3.2).
 */
export function awaitTurn(request: IncomingMessage, response: ServerResponse, begin: () => void): void {
  const { socket } = request
  const line = lines.get(socket) ?? new Line(socket)
  lines.set(socket, line)
  line.enter()
  response.once('socket', () => {
    line.leave()
    // Somebody may have answered in the meantime; and the rest of a request that broke off will never come.
    if (!response.writableEnded && (request.complete || !isBroken(socket))) begin()
  })
}
