import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { groupHeaders } from '../forwarding/response-headers.ts'
import { CONNECTION_FIELDS, SOLE_FIELDS } from '../http2-fields.ts'

type Fields = Record<string, string | string[]>

/**
 * Flat pairs as Node.js takes them for HTTP/2: grouped by lower-case name, without those it would throw at. Of those that
 * may not occur twice the first counts, as it does for its parser.
 */
export function toHttp2Fields(pairs: readonly string[]): Fields {
  const fields: Fields = Object.create(null)
  for (const [name, value] of groupHeaders(pairs)) {
    if (CONNECTION_FIELDS.has(name) || name === 'te') continue
    fields[name] = typeof value !== 'string' && SOLE_FIELDS.has(name) ? (value[0] ?? '') : value
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
