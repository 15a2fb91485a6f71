/**
 * Fields that would change what the message before them meant, or who sent it, for a recipient that takes trailers for
 * headers (RFC 9110, section 6.5.1).
 */
const FORBIDDEN = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via'
])

/** Trailers as flat pairs, without those that must not be trailers. */
export function safeTrailers(raw: readonly string[]): readonly string[] {
  if (raw.length === 0) return raw
  const kept: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const lower = name.toLowerCase()
    if (!FORBIDDEN.has(lower) && !lower.startsWith('x-forwarded-')) kept.push(name, raw[i + 1] ?? '')
  }
  return kept
}
