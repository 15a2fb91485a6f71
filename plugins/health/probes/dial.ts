import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Target, tlsConnection } from '../../balancer/index.ts'
import type { UpstreamConfig } from '../../config/index.ts'

/** Opens a connection to a target, or to another port of its host; `port` means nothing to unix sockets. */
export function dialTcp({ socketPath, hostname, port }: Target, otherPort: number | undefined): Socket {
  return socketPath === undefined
    ? connectTcp({ host: hostname, port: otherPort ?? port })
    : connectTcp({ path: socketPath })
}

/** The same, with TLS where the target has it; `protocol` is the only one that is offered (ALPN, RFC 7301). */
export function dial(
  target: Target,
  otherPort: number | undefined,
  tls: UpstreamConfig['tls'],
  protocol: 'http/1.1' | 'h2'
): Socket {
  if (target.protocol === 'http:') return dialTcp(target, otherPort)
  const { hostname, port } = target
  const socket = connectTls(tlsConnection({ hostname, port: otherPort ?? port }, tls, protocol))
  if (protocol === 'h2') {
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== 'h2') socket.destroy(new Error('the target does not agree on HTTP/2'))
    })
  }
  return socket
}

/** `host[:port]` of what is connected to, as in a Host header. */
export function authorityOf({ authority, hostname, protocol, socketPath }: Target, port: number | undefined): string {
  if (port === undefined || socketPath !== undefined) return authority
  const host = hostname.includes(':') ? `[${hostname}]` : hostname
  return port === (protocol === 'https:' ? 443 : 80) ? host : `${host}:${port}`
}

/** What an error says, its code first. */
export function describe(error: Error): string {
  const code: unknown = Reflect.get(error, 'code')
  // Where several addresses were tried in vain, the message is empty.
  const { message } = error
  if (typeof code !== 'string' || message.includes(code)) return message
  return message === '' ? code : `${code}: ${message}`
}
