import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Breaks a connection so that its peer cannot take that for an orderly end: by a reset where there is TCP alone. Within
 * TLS, to close without its closing alert says the same; a unix socket knows no other way.
 */
export function reset(socket: Duplex): void {
  // Node.js throws for handles other than those of TCP.
  if (socket instanceof Socket && !('encrypted' in socket) && socket.remoteAddress !== undefined) {
    socket.resetAndDestroy()
  } else socket.destroy()
}
