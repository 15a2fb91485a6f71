import { nominatedBy } from './request-headers.ts'

/** Hop-by-hop headers of a response by length, so that most names are let through without being lower-cased. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'http2-settings',
  'te',
  'transfer-encoding',
  'upgrade'
])
const LENGTHS = new Set([...HOP_BY_HOP, 'trailer', 'content-length'].map((name) => name.length))

/** How the body of a response goes to the client. */
export interface ResponseFraming {
  /** Trailers can follow. */
  readonly chunked: boolean
  /** A length may be announced. */
  readonly length: boolean
}

/** The target's headers as flat pairs, minus what was meant for its connection to the gateway. */
export function filterResponseHeaders(raw: readonly string[], framing: ResponseFraming): string[] {
  const nominated = findNominated(raw)
  const pairs: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (nominated !== undefined || LENGTHS.has(name.length)) {
      const lower = name.toLowerCase()
      if (HOP_BY_HOP.has(lower)) continue
      if (lower === 'trailer' && !framing.chunked) continue
      if (lower === 'content-length') {
        if (!framing.length) continue
      } else if (nominated?.has(lower)) continue
    }
    pairs.push(name, raw[i + 1] ?? '')
  }
  return pairs
}

/**
 * Adds the protocols that a 426 (Upgrade Required) asks for: without them it says nothing (RFC 9110, section 15.5.22),
 * and the gateway does take a client there.
 */
export function keepRequiredProtocols(pairs: string[], raw: readonly string[], keepAlive: boolean): void {
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() !== 'upgrade') continue
    pairs.push('connection', keepAlive ? 'upgrade' : 'upgrade, close', 'upgrade', raw[i + 1] ?? '')
    return
  }
}

function findNominated(raw: readonly string[]): ReadonlySet<string> | undefined {
  let list: string | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    list = list === undefined ? (raw[i + 1] ?? '') : `${list},${raw[i + 1]}`
  }
  return nominatedBy(list)
}

/**
 * Adds the headers that hooks have set on the reply. The target's value wins where both have one; Set-Cookie and Vary
 * are lists to which both contribute.
 */
export function mergeReplyHeaders(
  pairs: string[],
  own: Readonly<Record<string, string | number | string[] | undefined>>
): string[] {
  for (const [name, value] of Object.entries(own)) {
    if (value === undefined) continue
    if (name !== 'set-cookie' && name !== 'vary' && hasHeader(pairs, name)) continue
    for (const item of Array.isArray(value) ? value : [value]) pairs.push(name, String(item))
  }
  return pairs
}

/** Collects flat pairs by lower-case name; names that occur again become lists. */
export function groupHeaders(pairs: readonly string[]): Map<string, string | string[]> {
  const groups = new Map<string, string | string[]>()
  for (let i = 0; i < pairs.length; i += 2) {
    const name = (pairs[i] ?? '').toLowerCase()
    const value = pairs[i + 1] ?? ''
    const known = groups.get(name)
    if (known === undefined) groups.set(name, value)
    else if (typeof known === 'string') groups.set(name, [known, value])
    else known.push(value)
  }
  return groups
}

function hasHeader(pairs: readonly string[], lower: string): boolean {
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] ?? ''
    if (name.length === lower.length && name.toLowerCase() === lower) return true
  }
  return false
}
