import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { responseOf } from '../front/answers-under-way.ts'

/**
 * Serves a request whose Upgrade is ignored as if it had none, body, pipelined requests and keep-alive included: what
 * Node.js has taken off the connection is put back, without that header, and the server begins with it anew. False where
 * it cannot be: an answer to an earlier request is under way, or the body comes by `message`, as in Node.js 26.
 */
export function serveAsOrdinary(message: IncomingMessage, stream: Duplex, head: Buffer): boolean {
  const { socket } = message
  if (stream !== socket || message.readableLength > 0 || responseOf(socket) !== undefined) return false
  const server: unknown = Reflect.get(socket, 'server')
  if (!isEmitter(server)) return false

  let text = `${message.method} ${message.url} HTTP/${message.httpVersion}\r\n`
  const { rawHeaders } = message
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'upgrade') text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]))
  // Documented for this use: a connection is handed to a server by emitting the event.
  server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket)
  return true
}

function isEmitter(value: unknown): value is NodeJS.EventEmitter {
  return typeof value === 'object' && value !== null && 'emit' in value && typeof value.emit === 'function'
}
