import { createServer, type Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { MemorySocket, type PeerFacts } from './memory-socket.ts'

const MAX_HEADER_SIZE = 64 * 1024

/**
 * Serves an application over connections within the process: HTTP/1.1 as on the wire, so that nothing is lost or made up
 * on the way, as `inject()` does with dot segments, repeated headers, User-Agent and pace.
 */
export class AppServer {
  readonly #server: Server

  constructor(app: FastifyInstance) {
    let ready = false
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_SIZE, requestTimeout: 0, headersTimeout: 0 })
    this.#server.on('request', (request, response) => {
      if (ready) {
        app.routing(request, response)
        return
      }
      app.ready().then(
        () => {
          ready = true
          app.routing(request, response)
        },
        () => response.writeHead(503, { connection: 'close' }).end()
      )
    })
  }

  /** The client's end of a new connection. */
  connect(facts: PeerFacts = {}): MemorySocket {
    const { client, server } = MemorySocket.connect(facts)
    this.#server.emit('connection', server)
    return client
  }
}
