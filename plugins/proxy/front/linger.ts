import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'

/** Milliseconds a client has to take its answer and close, while what it still sends is thrown away. */
const LINGER = 1_000

/**
 * Closes in two steps: our side first, the rest once the client has closed too. Closing while bytes of the client are
 * unread, or on their way, would reset the connection, and the reset may overtake the answer (RFC 9112, section 9.6).
 */
export function linger(socket: Socket): void {
  socket.end()
  // What follows is no request any more. Adding a listener takes the data away from the parser of Node.js, which first
  // has to hear that it may read again.
  process.nextTick(() =>
    socket
      .on('data', () => {})
      .removeAllListeners('data')
      .resume()
  )
  const timer = setTimeout(() => socket.destroy(), LINGER)
  socket.on('end', () => socket.destroySoon())
  socket.on('close', () => clearTimeout(timer))
}

/** Has the connection end with an answer that comes before its request is complete, without losing the answer. */
export function closeAfterAnswer(reply: FastifyReply): void {
  const { httpVersionMajor, socket } = reply.request.raw
  // Not for HTTP/2, where a stream ends by itself, and not for inject(), which has no connection.
  if (httpVersionMajor !== 1 || !(socket instanceof Socket)) return
  reply.header('connection', 'close')
  const { destroySoon } = socket
  socket.destroySoon = () => {
    socket.destroySoon = destroySoon
    linger(socket)
  }
}

/** Gives a client that has its answer some time to finish its request, which nobody reads any more. */
export function limitRest(message: IncomingMessage, milliseconds: number): void {
  const { complete, httpVersionMajor, socket } = message
  if (milliseconds === 0 || complete || httpVersionMajor !== 1) return
  if (!(socket instanceof Socket) || socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), milliseconds)
  const stop = () => {
    clearTimeout(timer)
    socket.off('close', stop)
  }
  message.on('close', stop)
  socket.on('close', stop)
}
