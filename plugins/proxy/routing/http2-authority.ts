import type { IncomingHttpHeaders } from 'node:http'
import { BadHostError, BadPathError } from '../../errors.ts'

/**
 * The host of an HTTP/2 request as its client wrote it; `''` if it names none. Throws BadHostError when `:authority` and
 * Host contradict each other, and BadPathError for a scheme that is not of the web: Node.js checks the form of `:path`
 * for http and https only (RFC 9113, section 8.3.1).
 */
export function readHttp2Authority(headers: IncomingHttpHeaders): string {
  const { ':scheme': scheme, ':authority': authority, host } = headers
  if (scheme !== 'http' && scheme !== 'https') throw new BadPathError('neither http nor https')
  if (typeof authority !== 'string') return host ?? ''
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase()) throw new BadHostError('not the :authority')
  return authority
}
