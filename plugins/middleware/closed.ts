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
export function isComplete(request: IncomingMessage, response: ServerResponse): boolean {
  // Node.js emits 'finish' also when an error makes it give up on what was not flushed; only the socket tells.
  if (!response.writableEnded || request.socket?.errored) return false
  // Without a socket it was flushed, or is still queued. An injected response keeps its dummy and never finishes.
  return response.socket !== null || response.writableFinished
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
