import type { IncomingMessage } from 'node:http'
import { BadFramingError } from '../../errors.ts'
import { streamOf } from '../../middleware/index.ts'

/**
 * How many bytes of body follow the head of a request: -1 when that is not known yet, undefined when it has no body.
 * Throws BadFramingError for what another parser could read in another way.
 */
export function readBodyLength(message: IncomingMessage): number | undefined {
  const { 'content-length': announced, 'transfer-encoding': coding } = message.headers
  const stream = streamOf(message)
  if (stream !== undefined) {
    // Node.js holds the length against the DATA frames, and resets the stream if they differ.
    if (announced !== undefined) return Number(announced)
    if (!stream.endAfterHeaders) return -1
    // The end of the stream says what HTTP/1.1 needs a header for (RFC 9110, section 8.6).
    return EXPECT_CONTENT.has(message.method ?? '') ? 0 : undefined
  }
  if (announced === undefined && coding === undefined) return undefined
  // Node refuses most of these itself; whatever another parser could read as two requests ends here.
  if (coding !== undefined && (announced !== undefined || coding.toLowerCase() !== 'chunked')) {
    throw new BadFramingError('transfer-encoding other than chunked, or together with content-length')
  }
  // RFC 9112, section 6.1: a recipient of HTTP/1.0 may not know it, and end the body elsewhere.
  if (coding !== undefined && message.httpVersion === '1.0') throw new BadFramingError('transfer-encoding in HTTP/1.0')
  if (announced === undefined) return -1
  const length = Number(announced)
  // Beyond, numbers are rounded: another length would be announced to the target.
  if (length > Number.MAX_SAFE_INTEGER) throw new BadFramingError('content-length too large')
  return length
}

const EXPECT_CONTENT = new Set(['POST', 'PUT', 'PATCH'])
