import { describe, dialTcp } from './dial.ts'
import type { CheckRules, Probe } from './types.ts'

/** A target is well that takes a connection. Not a byte is sent, and no TLS handshake made. */
export function createTcpProbe({ port }: Pick<CheckRules, 'port'>): Probe {
  return (target, done) => {
    const socket = dialTcp(target, port)
    let isDone = false
    const end = (failure: string | undefined) => {
      if (isDone) return
      isDone = true
      socket.destroy()
      done(failure)
    }
    socket.on('connect', () => end(undefined))
    socket.on('error', (error) => end(describe(error)))
    return () => end('cancelled')
  }
}
