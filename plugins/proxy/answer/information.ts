import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'

/**
 * Sends an informational response as it is. Node.js has methods for some of them, which refuse whatever they do not
 * know, so HTTP/1.1 gets it written to the socket.
 *
 * @param pairs flat headers, without those of the connection
 */
export function sendInformation(response: ServerResponse, status: number, pairs: readonly string[]): void {
  if (response.headersSent) return
  if (isHttp2(response)) {
    if (response.stream.destroyed) return
    const headers: Record<string, string[]> = {}
    for (let i = 0; i < pairs.length; i += 2) {
      const name = (pairs[i] ?? '').toLowerCase()
      headers[name] = [...(headers[name] ?? []), pairs[i + 1] ?? '']
    }
    response.stream.additionalHeaders({ ...headers, ':status': status })
    return
  }
  // Without a socket, answers to earlier requests on the connection are still on their way.
  if (response.socket === null || response.req.httpVersion === '1.0') return
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let i = 0; i < pairs.length; i += 2) head += `${pairs[i]}: ${pairs[i + 1]}\r\n`
  response.socket.write(`${head}\r\n`, 'latin1')
}

function isHttp2(response: ServerResponse): response is ServerResponse & { stream: ServerHttp2Stream } {
  return 'stream' in response
}
