import type { IncomingMessage } from 'node:http'
import { Http2ServerRequest, type ServerHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'

/** The stream that a request came on; undefined where it did not come over HTTP/2. */
export function streamOf(request: IncomingMessage | Readable): ServerHttp2Stream | undefined {
  return request instanceof Http2ServerRequest ? request.stream : undefined
}
