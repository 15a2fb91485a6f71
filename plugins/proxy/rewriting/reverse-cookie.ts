/** What to make of the attributes of a cookie. */
export interface CookieMapping {
  path(value: string): string
  domain(value: string): string
}

/** Maps the Domain and Path attributes of a Set-Cookie value (RFC 6265, section 5.2); every other byte stays. */
export function reverseCookie(cookie: string, mapping: CookieMapping): string {
  let result = ''
  let copied = 0
  for (let semicolon = cookie.indexOf(';'); semicolon !== -1; semicolon = cookie.indexOf(';', semicolon + 1)) {
    const equals = cookie.indexOf('=', semicolon)
    if (equals === -1) break

    const name = cookie
      .slice(semicolon + 1, equals)
      .trim()
      .toLowerCase()
    if (name !== 'path' && name !== 'domain') continue
    const next = cookie.indexOf(';', equals)
    const end = next === -1 ? cookie.length : next
    const raw = cookie.slice(equals + 1, end)
    const value = raw.trim()
    const start = equals + 1 + raw.indexOf(value)
    result += cookie.slice(copied, start) + mapping[name](value)
    copied = start + value.length
  }
  return result + cookie.slice(copied)
}
