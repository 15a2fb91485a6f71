import type { IncomingMessage } from 'node:http'
import { nominatedBy } from '../forwarding/request-headers.ts'
import { readProtocols } from '../transport/switching.ts'

/**
 * HTTP in another dress: after such a switch, requests would pass the gateway unseen, by no route and through no layer.
 * h2c is obsolete besides (RFC 9113, section 3.1), and what offers it is served as HTTP/1.1.
 */
const HTTP_ITSELF = new Set(['h2', 'h2c', 'h3', 'http', 'tls'])

/**
 * What to ask the target to switch to, as the client wrote it; undefined when the request is an ordinary one.
 *
 * A server may always ignore an Upgrade (RFC 9110, section 7.8). It is ignored in HTTP/1.0, which has none; where
 * Connection does not list it; where it does not follow the grammar; and with a body, since what is body and what is
 * already the new protocol would depend on the reader.
 */
export function requestedProtocols({ headers, httpVersion }: IncomingMessage): string | undefined {
  const { upgrade } = headers
  if (upgrade === undefined || httpVersion !== '1.1') return undefined
  if (nominatedBy(headers.connection)?.has('upgrade') !== true || hasBody(headers)) return undefined
  const protocols = readProtocols(upgrade)?.filter((protocol) => !HTTP_ITSELF.has(nameOf(protocol)))
  return protocols === undefined || protocols.length === 0 ? undefined : protocols.join(', ')
}

/** Whether a body is announced, even one of unknown length. */
export function hasBody(headers: IncomingMessage['headers']): boolean {
  if (headers['transfer-encoding'] !== undefined) return true
  return headers['content-length'] !== undefined && headers['content-length'] !== '0'
}

function nameOf(protocol: string): string {
  const slash = protocol.indexOf('/')
  return (slash < 0 ? protocol : protocol.slice(0, slash)).toLowerCase()
}
