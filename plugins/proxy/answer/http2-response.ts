import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { groupHeaders } from '../forwarding/response-headers.ts'

type Fields = Record<string, string | string[]>

/** Headers of the connection: a message of HTTP/2 that has one is malformed (RFC 9113, section 8.2.2). */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade'
])

/** Headers that Node.js refuses to send twice over HTTP/2; of those, the first counts, as it does for its parser. */
const SOLE = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options'
])

/** Flat pairs as Node.js takes them for HTTP/2: grouped by lower-case name, without those it would throw at. */
export function toHttp2Fields(pairs: readonly string[]): Fields {
  const fields: Fields = Object.create(null)
  for (const [name, value] of groupHeaders(pairs)) {
    if (CONNECTION_SPECIFIC.has(name)) continue
    fields[name] = typeof value !== 'string' && SOLE.has(name) ? (value[0] ?? '') : value
  }
  return fields
}

/**
 * Cuts a response short so that its client cannot take it for complete: with INTERNAL_ERROR. `stream.close()` would end
 * the stream in order, and reset it only then.
 */
export function resetStream(stream: ServerHttp2Stream): void {
  stream.destroy(new Error('the response broke off'))
}

/** Node.js destroys a response with the code that means no error; so does Fastify, when the body of one fails. */
export function resetOnDestroy(raw: ServerResponse, stream: ServerHttp2Stream): void {
  const { destroy } = raw
  raw.destroy = (error) => {
    resetStream(stream)
    return destroy.call(raw, error)
  }
}
