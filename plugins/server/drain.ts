import type { Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import type { Connections } from './connections.ts'
import { prependRequestListener } from './request-listener.ts'

const known = new WeakMap<Server, Connections>()

/** Lets `drain` find the connections of a server. */
export function remember(server: Server, connections: Connections): void {
  known.set(server, connections)
}

/**
 * Ends what a server listens on, and has clients leave by themselves: the next answer on a connection is the last one,
 * and says so (RFC 9112, section 9.6); HTTP/2 gets GOAWAY. Closing an idle connection instead, as `close()` does, loses
 * a request that is just on its way. Resolves once no connection is left, or time is up; `close()` does the rest.
 *
 * @param limit in milliseconds
 */
export function drain(server: Server, limit: number): Promise<void> {
  prependRequestListener(server, (request, response) => {
    if (request.httpVersionMajor < 2) response.shouldKeepAlive = false
  })
  known.get(server)?.drain()
  return new Promise((resolve) => {
    const late = setTimeout(resolve, limit)
    // Past `close()` of node:http, which closes idle connections.
    NetServer.prototype.close.call(server, () => {
      clearTimeout(late)
      resolve()
    })
  })
}
