import { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Calls `then` once all complete requests of a connection have their answer: at once if none is under way. What is
 * handed over is the response to a request that is not complete, if that is the one whose turn it is.
 */
export function afterAnswers(socket: Socket, then: (unfinished: ServerResponse | undefined) => void): void {
  const current = responseOf(socket)
  if (current === undefined || !current.req.complete) then(current)
  else current.once('close', () => afterAnswers(socket, then))
}

/** The response whose turn it is on a connection. Node.js knows it, but has no public name for it. */
export function responseOf(socket: Socket): ServerResponse | undefined {
  const message: unknown = Reflect.get(socket, '_httpMessage')
  return message instanceof ServerResponse ? message : undefined
}
