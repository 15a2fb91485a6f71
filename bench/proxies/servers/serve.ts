import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'

export interface ServerOptions {
  readonly host: string
  readonly port: number
  /** The origin. */
  readonly base: string
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null
}

export type Start = (options: ServerOptions) => void | Promise<void>

/** Connections to the origin that may be kept. */
export const CONNECTIONS = 256

export function serve({ host, port, tls }: ServerOptions, listener: RequestListener): Server {
  const server = tls === null ? createServer(listener) : createTlsServer({ ...tls }, listener)
  server.keepAliveTimeout = 60_000
  return server.listen(port, host)
}
