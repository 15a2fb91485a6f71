export interface CookieAttributes {
  readonly path: string
  readonly domain?: string | undefined
  readonly httpOnly: boolean
  readonly secure: boolean
  readonly sameSite: 'lax' | 'strict' | 'none'
  /** Milliseconds that browsers keep it; 0 = until they are closed. */
  readonly ttl: number
}

/** What follows the value in Set-Cookie, from its first semicolon on (RFC 6265, section 4.1). */
export function cookieAttributes({ path, domain, httpOnly, secure, sameSite, ttl }: CookieAttributes): string {
  const attributes = [`Path=${path}`]
  if (domain !== undefined) attributes.push(`Domain=${domain}`)
  if (ttl > 0) attributes.push(`Max-Age=${Math.ceil(ttl / 1_000)}`)
  if (httpOnly) attributes.push('HttpOnly')
  if (secure) attributes.push('Secure')
  attributes.push(`SameSite=${sameSite[0]?.toUpperCase()}${sameSite.slice(1)}`)
  return attributes.map((attribute) => `; ${attribute}`).join('')
}
