import { type IncomingMessage, validateHeaderName, validateHeaderValue } from 'node:http'
import { BadHostError } from '../../errors.ts'
import { fewerForwards } from './max-forwards.ts'

/** What the headers for the target are made from. */
export interface RequestHeaderInput {
  readonly message: IncomingMessage
  /** Address of the peer; empty if it has none. */
  readonly peer: string
  /** Whether the peer's own forwarding headers are believed. */
  readonly trusted: boolean
  readonly protocol: string
  /** Host the client asked for; stands in `x-forwarded-host`. */
  readonly host: string
  /** Whether the body goes out chunked, which is what trailers need. */
  readonly chunked: boolean
  /** Headers set by layers; they replace the client's. */
  readonly extra: readonly (readonly [name: string, value: string])[] | undefined
}

const KEEP = 0
const DROP = 1
const HOST = 2
const FORWARDED_FOR = 3
const FORWARDED_PROTO = 4
const FORWARDED_HOST = 5
const TRUSTED_ONLY = 6
const VIA = 7
const TE = 8
const TRAILER = 9
const COOKIE = 10
const CONNECTION = 11
const MAX_FORWARDS = 12

const ROLES = new Map<string, number>([
  ['host', HOST],
  ['x-forwarded-for', FORWARDED_FOR],
  ['x-forwarded-proto', FORWARDED_PROTO],
  ['x-forwarded-host', FORWARDED_HOST],
  ['forwarded', TRUSTED_ONLY],
  ['via', VIA],
  ['te', TE],
  ['trailer', TRAILER],
  ['cookie', COOKIE],
  ['connection', CONNECTION],
  ['max-forwards', MAX_FORWARDS],
  // Hop-by-hop, or about the framing, which each connection has of its own (RFC 9110, section 7.6.1).
  ['alpn', DROP],
  ['close', DROP],
  ['content-length', DROP],
  ['expect', DROP],
  ['http2-settings', DROP],
  ['keep-alive', DROP],
  ['proxy-authenticate', DROP],
  ['proxy-authentication-info', DROP],
  ['proxy-authorization', DROP],
  ['proxy-connection', DROP],
  ['proxy-features', DROP],
  ['proxy-instruction', DROP],
  ['security-scheme', DROP],
  ['transfer-encoding', DROP],
  ['upgrade', DROP]
])

const MAX_CACHED = 1_000

/** Roles by name as spelt by clients, so that a name is lower-cased once and not per request. */
const cache = new Map<string, number>()

function roleOf(name: string): number {
  const known = cache.get(name)
  if (known !== undefined) return known
  const role = readRole(name.toLowerCase())
  if (cache.size < MAX_CACHED) cache.set(name, role)
  return role
}

function readRole(name: string): number {
  const role = ROLES.get(name)
  if (role !== undefined) return role
  if (name.startsWith('x-forwarded-')) return TRUSTED_ONLY
  // What Function Compute tells its functions, temporary credentials included.
  if (name.startsWith('x-fc-')) return DROP
  // A pseudo-header field of HTTP/2 says how the request came, which the request line says already.
  if (name.startsWith(':')) return DROP
  // CGI-style targets cannot tell `X_Forwarded_For` from `X-Forwarded-For`.
  const dashed = name.replaceAll('_', '-')
  return dashed !== name && (ROLES.has(dashed) || dashed.startsWith('x-forwarded-')) ? DROP : KEEP
}

/**
 * The headers for the target as flat pairs, `host` first with an empty value: what the client sent, spelt as sent, minus
 * hop-by-hop headers, plus `x-forwarded-for`, `-proto`, `-host` and `via`. Throws BadHostError for a second Host.
 */
export function buildRequestHeaders(input: RequestHeaderInput): string[] {
  const { message, trusted, extra } = input
  const raw = message.rawHeaders
  const nominated = nominatedBy(message.headers.connection)
  const pairs = ['host', '']
  let hosts = 0
  let forwardedFor = ''
  let proto = input.protocol
  let host = input.host
  let via = ''
  let cookieAt = -1

  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const value = raw[i + 1] ?? ''
    const role = roleOf(name)
    if (nominated !== undefined && role !== HOST && nominated.has(name.toLowerCase())) {
      if (role === TE && offersTrailers(value)) pairs.push('te', 'trailers')
      continue
    }
    if (role !== HOST && extra?.some(([other]) => other === name.toLowerCase())) continue
    switch (role) {
      case KEEP:
        pairs.push(name, value)
        break
      case HOST:
        if (++hosts > 1) throw new BadHostError('there are several')
        break
      case FORWARDED_FOR:
        forwardedFor = join(forwardedFor, value, ', ')
        break
      case FORWARDED_PROTO:
        if (trusted) proto = value
        break
      case FORWARDED_HOST:
        if (trusted) host = value
        break
      case TRUSTED_ONLY:
        if (trusted) pairs.push(name, value)
        break
      case VIA:
        via = join(via, value, ', ')
        break
      case TE:
        if (offersTrailers(value)) pairs.push('te', 'trailers')
        break
      case TRAILER:
        if (input.chunked) pairs.push(name, value)
        break
      case MAX_FORWARDS:
        pairs.push(name, message.method === 'OPTIONS' ? fewerForwards(value) : value)
        break
      case COOKIE:
        // RFC 6265, section 5.4: a request has one Cookie header.
        if (cookieAt < 0) cookieAt = pairs.push(name, value) - 1
        else pairs[cookieAt] = join(pairs[cookieAt] ?? '', value, '; ')
        break
    }
  }

  const addresses = trusted ? join(forwardedFor, input.peer, ', ') : input.peer
  if (addresses !== '') pairs.push('x-forwarded-for', addresses)
  pairs.push('x-forwarded-proto', proto)
  if (host !== '') pairs.push('x-forwarded-host', host)
  pairs.push('via', join(via, viaSelf(message), ', '))
  if (extra !== undefined) pushExtra(pairs, extra)
  return pairs
}

/** The address of a peer; IPv4 as such, also from a socket for both families (RFC 4291, section 2.5.5.2). */
export function peerAddress({ socket: { remoteAddress } }: IncomingMessage): string {
  // Peers of a unix socket have none.
  if (remoteAddress === undefined) return ''
  return remoteAddress.startsWith('::ffff:') && remoteAddress.includes('.') ? remoteAddress.slice(7) : remoteAddress
}

/** Layers are code like any other: what they set is checked as Node would check it. Framing is not theirs to set. */
function pushExtra(pairs: string[], extra: NonNullable<RequestHeaderInput['extra']>): void {
  for (const [name, value] of extra) {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    const role = roleOf(name)
    if (role === KEEP || role === TRUSTED_ONLY || role === MAX_FORWARDS) pairs.push(name, value)
  }
}

/** Names that the client declared to be for this connection only. */
export function nominatedBy(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  const names = connection.toLowerCase().split(',')
  return new Set(names.map((name) => name.trim()))
}

/** Names the protocol in which the gateway received the request (RFC 9110, section 7.6.3). */
function viaSelf({ httpVersion }: IncomingMessage): string {
  if (httpVersion === '2.0') return '2 fastify-gateway'
  return httpVersion === '1.0' ? '1.0 fastify-gateway' : '1.1 fastify-gateway'
}

function offersTrailers(te: string): boolean {
  return te
    .toLowerCase()
    .split(',')
    .some((coding) => coding.trim() === 'trailers')
}

function join(list: string, item: string, separator: string): string {
  if (item === '') return list
  return list === '' ? item : `${list}${separator}${item}`
}
