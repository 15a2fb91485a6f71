import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { streamOf } from './http2-stream.ts'

/** Who waits for which socket: one listener each, however many requests a client pipelines. */
const queued = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls `listener` when a response is over, complete or not; at once if the connection is already gone.
 * May call it twice.
 */
export function whenClosed(request: IncomingMessage, response: ServerResponse, listener: () => void): void {
  const stream = streamOf(request)
  if (stream !== undefined) {
    whenStreamClosed(stream, listener)
    return
  }
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
  const stream = streamOf(request)
  if (stream !== undefined) return response.writableEnded && !stream.aborted && stream.rstCode === 0
  // Node.js emits 'finish' also when an error makes it give up on what was not flushed; only the socket tells.
  if (!response.writableEnded || request.socket?.errored) return false
  // Without a socket it was flushed, or is still queued. An injected response keeps its dummy and never finishes.
  return response.socket !== null || response.writableFinished
}

/** The response of a HEAD request that was reset emits no 'close', and a stream that is not read does so late. */
function whenStreamClosed(stream: ServerHttp2Stream, listener: () => void): void {
  if (stream.closed || stream.destroyed) {
    listener()
    return
  }
  stream.on('aborted', listener)
  stream.on('close', listener)
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
