import { isIPv6 } from 'node:net'

const DOT = 0x2e
const COLON = 0x3a
const BRACKET = 0x5b
const MAX_LENGTH = 255

// RFC 3986 allows more in a reg-name (escapes, sub-delims); none of it is in a name that DNS or a certificate can hold,
// and two parties that read it differently disagree about the site.
const NAME = new Uint8Array(128)
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~') NAME[char.charCodeAt(0)] = 1

/**
 * Validates a Host header or the authority of a URL (RFC 9110, section 7.2) and returns the host that routes are matched
 * against: lower-case, without port and trailing dot; an IPv6 address in brackets and in its shortest spelling (RFC 5952).
 * `undefined` means that the value is missing, empty or malformed.
 */
export function parseHost(value: string | undefined): string | undefined {
  if (value === undefined || value.length > MAX_LENGTH) return undefined
  if (value.charCodeAt(0) === BRACKET) return parseLiteral(value)

  let end = value.length
  let upper = false
  let previous = DOT
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code === COLON) {
      if (!isPort(value, i + 1)) return undefined
      end = i
      break
    }
    if (NAME[code] !== 1 || (code === DOT && previous === DOT)) return undefined
    if (code >= 0x41 && code <= 0x5a) upper = true
    previous = code
  }
  if (end === 0) return undefined
  if (previous === DOT) end--
  const host = value.slice(0, end)
  return upper ? host.toLowerCase() : host
}

function parseLiteral(value: string): string | undefined {
  const end = value.indexOf(']')
  const address = value.slice(1, end)
  // A zone (`%eth0`) has no meaning outside the machine that wrote it (RFC 9110, section 4.2.5).
  if (end === -1 || !isIPv6(address) || address.includes('%')) return undefined
  if (end + 1 < value.length && (value.charCodeAt(end + 1) !== COLON || !isPort(value, end + 2))) return undefined
  return new URL(`http://[${address}]`).hostname
}

function isPort(value: string, start: number): boolean {
  let port = 0
  for (let i = start; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port <= 65535
}
