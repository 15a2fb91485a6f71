import type { IncomingMessage } from 'node:http'
import { parseHost } from './routing/host.ts'

/** How the client reached the gateway, directly or by way of a trusted proxy. */
export interface ClientView {
  readonly scheme: 'http' | 'https'
  /** Host, and port unless it is the usual one; `''` if the client named none. */
  readonly authority: string
  /** Port to which the client connected; undefined where there is none, as with a unix socket. */
  readonly port: number | undefined
}

/**
 * What is on the connection itself, unless a trusted peer says in `x-forwarded-proto`, `-host` and `-port` how it was
 * reached. Of several values the last counts, for that is the trusted peer's own.
 *
 * @param authority the host that the client asked for, validated
 */
export function viewOf(message: IncomingMessage, authority: string, trusted: boolean): ClientView {
  const scheme = schemeOf(message, trusted)
  const direct = { scheme, authority, port: message.socket.localPort }
  if (!trusted) return direct

  const proto = lastOf(message, 'x-forwarded-proto')?.toLowerCase()
  const host = lastOf(message, 'x-forwarded-host')
  const port = toPort(lastOf(message, 'x-forwarded-port'))
  if (proto === undefined && host === undefined && port === undefined) return direct
  return behind(
    proto === 'http' || proto === 'https' ? proto : scheme,
    host !== undefined && parseHost(host) !== undefined ? host : authority,
    port
  )
}

/** The scheme of the connection itself. A trusted peer that speaks HTTP/2 says in `:scheme` what its client's was. */
export function schemeOf({ socket, headers }: IncomingMessage, trusted: boolean): 'http' | 'https' {
  const { ':scheme': told } = headers
  if (trusted && typeof told === 'string') return told.toLowerCase() === 'https' ? 'https' : 'http'
  return 'encrypted' in socket && socket.encrypted === true ? 'https' : 'http'
}

function behind(scheme: 'http' | 'https', authority: string, told: number | undefined): ClientView {
  const colon = /:(\d*)$/.exec(authority)
  const name = colon === null ? authority : authority.slice(0, colon.index)
  const usual = scheme === 'https' ? 443 : 80
  const port = told ?? toPort(colon?.[1]) ?? usual
  return { scheme, authority: name === '' || port === usual ? name : `${name}:${port}`, port }
}

function lastOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  if (typeof value !== 'string') return undefined
  const last = value.slice(value.lastIndexOf(',') + 1).trim()
  return last === '' ? undefined : last
}

function toPort(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined
  const port = Number(text)
  return port >= 1 && port <= 65_535 ? port : undefined
}
