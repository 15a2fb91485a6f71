import { createServer, type Server, type ServerOptions } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { FastifyServerFactory } from 'fastify'
import type { ServerConfig } from '../config/index.ts'
import { Connections } from './connections.ts'
import { remember } from './drain.ts'

export { drain } from './drain.ts'

/** Milliseconds between two looks, while the server closes, for connections that have become idle. */
const CLOSE_INTERVAL = 20

type Handler = Parameters<FastifyServerFactory<Server>>[0]
type TlsConfig = NonNullable<ServerConfig['tls']>

/**
 * Makes the server of a Fastify application, for its option `serverFactory`: HTTP/1.1 and HTTP/2 on one port, with TLS
 * by ALPN, without by the first bytes of a connection. For Fastify, and for whoever listens to it, it is a server of
 * `node:http` or `node:https`; what speaks HTTP/2 is diverted before it gets there.
 *
 * @param checkInterval milliseconds between two looks at the connections for those whose time is up
 */
export function createServerFactory(config: ServerConfig, checkInterval = 1_000): FastifyServerFactory<Server> {
  return (handler) => {
    const { tls, maxHeaderSize } = config
    const limits = { maxHeaderSize, connectionsCheckingInterval: checkInterval }
    const server = tls === undefined ? createServer(limits, handler) : secureServer(config, tls, limits, handler)
    server.headersTimeout = config.headersTimeout
    server.requestTimeout = config.requestTimeout
    server.keepAliveTimeout = config.keepAliveTimeout
    // By default Node.js drops the headers beyond a number of them without a word; maxHeaderSize bounds them, too.
    server.maxHeadersCount = 0
    const connections = new Connections(server, config)
    remember(server, connections)
    sweepWhileListening(server, connections, checkInterval)
    closeInPeace(server, connections)
    return server
  }
}

function secureServer(config: ServerConfig, tls: TlsConfig, limits: ServerOptions, handler: Handler): Server {
  const { cert, key, ca, minVersion } = tls
  const options = {
    ...limits,
    cert,
    key,
    minVersion,
    ...(ca === undefined ? {} : { ca, requestCert: true }),
    ALPNProtocols: config.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    ...(config.headersTimeout === 0 ? {} : { handshakeTimeout: config.headersTimeout })
  }
  return createSecureServer(options, handler)
}

function sweepWhileListening(server: Server, connections: Connections, interval: number): void {
  let timer: NodeJS.Timeout | undefined
  server.once('listening', () => connections.attach())
  server.on('listening', () => {
    timer = setInterval(() => connections.sweep(), interval).unref()
  })
  server.on('close', () => clearInterval(timer))
}

/** Exchanges under way keep their connection when the server closes; it goes as soon as they are done. */
function closeInPeace(server: Server, connections: Connections): void {
  const { close, closeIdleConnections, closeAllConnections } = server
  server.closeIdleConnections = () => {
    closeIdleConnections.call(server)
    connections.closeIdle()
  }
  server.closeAllConnections = () => {
    closeAllConnections.call(server)
    connections.destroy()
  }
  server.close = (callback) => {
    connections.drain()
    const sweep = setInterval(() => server.closeIdleConnections(), CLOSE_INTERVAL)
    server.once('close', () => clearInterval(sweep))
    return close.call(server, callback)
  }
}
