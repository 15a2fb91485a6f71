import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Who waits for which socket: one listener each, however many requests a client pipelines. */
const queued = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls `listener` when a response is over, complete or not; at once if the connection is already gone.
 * May call it twice.
 */
export function whenClosed(request: IncomingMessage, response: ServerResponse, listener: () => void): void {
  if (response.destroyed || request.socket?.destroyed === true) {
    listener()
    return
  }
  // Node.js emits no 'close' for a pipelined response that was still queued, without a socket, when the client left.
  if (response.socket !== null || request.socket === null) {
    response.on('close', listener)
    return
  }
  const waiting = waitingFor(request.socket)
  waiting.add(listener)
  response.on('close', () => {
    waiting.delete(listener)
    listener()
  })
}

/** Whether a response that is over was handed to the connection as a whole. */
export function isComplete(response: ServerResponse): boolean {
  if (!response.writableEnded) return false
  // An injected response never says that it has finished; it has no connection that could break either.
  return response.writableFinished || response.socket?.destroyed === false
}

function waitingFor(socket: Socket): Set<() => void> {
  const known = queued.get(socket)
  if (known !== undefined) return known
  const waiting = new Set<() => void>()
  queued.set(socket, waiting)
  socket.on('close', () => {
    for (const listener of waiting) listener()
  })
  return waiting
}
