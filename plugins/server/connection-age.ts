import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { prependRequestListener } from './request-listener.ts'

/** Part of the age by which it may be longer, so that clients that came together do not come back together. */
const JITTER = 0.1

/** How old one connection may become, in milliseconds, for a limit that is not 0. */
export function drawAge(limit: number): number {
  return limit * (1 + JITTER * Math.random())
}

/** A connection, and the answer to the latest request on it. */
interface Aging {
  /** When it is too old. */
  readonly until: number
  isOld: boolean
  latest: ServerResponse | undefined
}

/**
 * Has clients of HTTP/1.1 leave by themselves that have been connected for too long: the next answer that begins is the
 * last one of the connection, and says so (RFC 9112, section 9.6). To close it while it is idle would lose a request
 * that is just on its way.
 */
export class ConnectionAge {
  private readonly limit: number
  private readonly known = new Map<Socket, Aging>()

  /** @param limit in milliseconds */
  constructor(limit: number) {
    this.limit = limit
  }

  watch(socket: Socket, now: number): void {
    this.known.set(socket, { until: now + drawAge(this.limit), isOld: false, latest: undefined })
    socket.on('close', () => this.known.delete(socket))
  }

  /** To be called once all others listen to the server's requests. */
  attach(server: Server): void {
    prependRequestListener(server, ({ socket }, response) => {
      const aging = this.known.get(socket)
      if (aging === undefined) return
      aging.latest = response
      if (aging.isOld) response.shouldKeepAlive = false
    })
  }

  /** To be called every now and then. */
  sweep(now: number): void {
    for (const aging of this.known.values()) {
      if (aging.isOld || now < aging.until) continue
      aging.isOld = true
      if (aging.latest?.headersSent === false) aging.latest.shouldKeepAlive = false
      aging.latest = undefined
    }
  }
}
