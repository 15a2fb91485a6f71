import type { Server } from 'node:http'
import type { Http2Server } from 'node:http2'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { TLSSocket } from 'node:tls'
import type { ServerConfig } from '../config/index.ts'
import { ConnectionAge } from './connection-age.ts'
import { FirstBytes } from './first-bytes.ts'
import { createHttp2Server } from './http2-server.ts'
import { Http2Sessions } from './http2-sessions.ts'

/** The connections of a server: hands each to the protocol that it speaks, before anybody else reads from it. */
export class Connections {
  private readonly server: Server
  private readonly config: ServerConfig
  private readonly http2: Http2Server | undefined
  private readonly sessions: Http2Sessions
  private readonly firstBytes: FirstBytes
  private readonly sockets = new Set<Socket>()
  private readonly age: ConnectionAge | undefined

  constructor(server: Server, config: ServerConfig) {
    const { headersTimeout, requestTimeout, keepAliveTimeout, maxConnectionAge, http2, tls } = config
    this.server = server
    this.config = config
    this.http2 = http2 ? createHttp2Server(server, config) : undefined
    const timeouts = { firstRequest: headersTimeout, request: requestTimeout, idle: keepAliveTimeout }
    const age = maxConnectionAge === 0 ? undefined : new ConnectionAge(maxConnectionAge)
    this.age = age
    this.sessions = new Http2Sessions({ ...timeouts, age: maxConnectionAge }, now)
    const event = tls === undefined ? 'connection' : 'secureConnection'
    const [listener = () => {}] = server.listeners(event)
    server.removeAllListeners(event)
    const takeHttp1 = (socket: Socket) => {
      age?.watch(socket, now())
      Reflect.apply(listener, server, [socket])
      socket.resume()
    }
    // Over TLS, HTTP/2 has to be agreed on (RFC 9113, section 3.3).
    const usesPreface = http2 && tls === undefined
    this.firstBytes = new FirstBytes({
      http1: takeHttp1,
      http2: usesPreface ? (socket) => this.takeHttp2(socket) : takeHttp1,
      late: (socket) => this.giveUp(socket)
    })
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
    })
    server.on(event, (socket: Socket | TLSSocket) => {
      if ('alpnProtocol' in socket && socket.alpnProtocol === 'h2') this.takeHttp2(socket)
      else this.firstBytes.read(socket, now())
    })
  }

  /** To be called once all others listen to the server's requests. */
  attach(): void {
    this.age?.attach(this.server)
  }

  /** Ends what takes too long. To be called every now and then. */
  sweep(): void {
    this.age?.sweep(now())
    this.firstBytes.sweep(now(), this.config.headersTimeout)
    this.sessions.sweep()
  }

  /** Closes connections that wait for a request. */
  closeIdle(): void {
    this.firstBytes.close()
    this.sessions.closeIdle()
  }

  /** Takes no more requests on connections of HTTP/2. */
  drain(): void {
    this.sessions.drain()
  }

  /** Also of connections that are still in their TLS handshake. */
  destroy(): void {
    this.sessions.destroy()
    for (const socket of this.sockets) socket.destroy()
  }

  private takeHttp2(socket: Socket): void {
    if (this.http2 === undefined || socket.destroyed) return
    this.http2.once('session', (session) => this.sessions.add(session, socket))
    this.http2.emit('connection', socket)
  }

  /** As Node.js does with a request that does not come in time. */
  private giveUp(socket: Socket): void {
    const error = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
    // Nobody else listens to it yet.
    socket.on('error', () => {})
    if (!this.server.emit('clientError', error, socket)) socket.destroy()
  }
}

function now(): number {
  return performance.now()
}
