import type { IncomingMessage } from 'node:http'

/** How the client reached the gateway, directly or by way of a trusted proxy. */
export interface ClientView {
  readonly scheme: 'http' | 'https'
  /** Host and port as the client named them; `''` if it named none. */
  readonly authority: string
  /** Port to which the client connected; undefined where there is none, as with a unix socket. */
  readonly port: number | undefined
}

/** The port that a URL need not name. */
export const USUAL_PORTS = { http: 80, https: 443 } as const

/**
 * What is on the connection itself, unless a trusted peer tells the scheme by which it was reached; then the port is the
 * one that the client named, too. The host is always that of the request: many a proxy passes on an `x-forwarded-host`
 * that came from its client, and an answer made from it may end up in a cache.
 *
 * @param authority the host that the client asked for, validated
 */
export function viewOf(message: IncomingMessage, authority: string, trusted: boolean): ClientView {
  const scheme = schemeOf(message, trusted)
  const told = trusted ? (lastScheme(message.headers['x-forwarded-proto']) ?? message.headers[':scheme']) : undefined
  if (told === undefined) return { scheme, authority, port: message.socket.localPort }
  return behind(told === 'http' || told === 'https' ? told : scheme, authority)
}

/** The scheme of the connection itself. A trusted peer that speaks HTTP/2 says in `:scheme` what its client's was. */
export function schemeOf({ socket, headers }: IncomingMessage, trusted: boolean): 'http' | 'https' {
  const { ':scheme': told } = headers
  if (trusted && (told === 'http' || told === 'https')) return told
  return 'encrypted' in socket && socket.encrypted === true ? 'https' : 'http'
}

function behind(scheme: 'http' | 'https', authority: string): ClientView {
  const port = /:(\d+)$/.exec(authority)?.[1]
  return { scheme, authority, port: port === undefined ? USUAL_PORTS[scheme] : Number(port) }
}

/** Of several values the last one counts: it is the peer's own. */
function lastScheme(value: string | string[] | undefined): string | undefined {
  if (typeof value !== 'string') return undefined
  const last = value.slice(value.lastIndexOf(',') + 1).trim()
  return last === '' ? undefined : last.toLowerCase()
}
