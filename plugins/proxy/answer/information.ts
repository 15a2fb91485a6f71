import { type ServerResponse, STATUS_CODES } from 'node:http'
import { streamOf } from '../../middleware/index.ts'
import { toHttp2Fields } from './http2-response.ts'

/**
 * Sends an informational response as it is. Node.js has methods for some of them, which refuse whatever they do not
 * know, so HTTP/1.1 gets it written to the socket.
 *
 * @param pairs flat headers, without those of the connection
 */
export function sendInformation(response: ServerResponse, status: number, pairs: readonly string[]): void {
  if (response.headersSent) return
  const stream = streamOf(response.req)
  if (stream !== undefined) {
    if (!stream.closed && !stream.destroyed) stream.additionalHeaders({ ...toHttp2Fields(pairs), ':status': status })
    return
  }
  // Without a socket, answers to earlier requests on the connection are still on their way.
  if (response.socket === null || response.req.httpVersion === '1.0') return
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let i = 0; i < pairs.length; i += 2) head += `${pairs[i]}: ${pairs[i + 1]}\r\n`
  response.socket.write(`${head}\r\n`, 'latin1')
}
