/** Fields that would change what the message before them meant, or who sent it (RFC 9110, section 6.5.1). */
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
  'max-forwards',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via'
])

/** Trailers, as flat pairs, without those that may not be any, in either direction. */
export function safeTrailers(raw: readonly string[]): readonly string[] {
  if (raw.length === 0) return raw
  const kept: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (!isForbidden(name.toLowerCase())) kept.push(name, raw[i + 1] ?? '')
  }
  return kept
}

function isForbidden(name: string): boolean {
  // To some, an underscore is a dash.
  const dashed = name.replaceAll('_', '-')
  return FORBIDDEN.has(dashed) || dashed.startsWith('x-forwarded-')
}
