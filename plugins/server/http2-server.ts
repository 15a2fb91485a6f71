import type { Server } from 'node:http'
import { createServer, type Http2Server, type ServerOptions } from 'node:http2'
import type { ServerConfig } from '../config/index.ts'

/** Requests that a client may have under way on one connection. */
const MAX_STREAMS = 100
/** Bytes of one request body, and of all on a connection, that may be on their way here unread. */
const STREAM_WINDOW = 256 * 1024
const CONNECTION_WINDOW = 1024 * 1024
/** Megabytes a connection may hold: what all its streams together may have waiting for a slow reader, and some more. */
const SESSION_MEMORY = 64

/**
 * The HTTP/2 side of a server. Its requests, expectations and tunnels are events of the server itself, so that whoever
 * listens to these need not know how they came; what nobody listens to, Node.js answers as over HTTP/1.1.
 */
export function createHttp2Server(server: Server, { maxHeaderSize }: ServerConfig): Http2Server {
  const options: ServerOptions = {
    maxSessionMemory: SESSION_MEMORY,
    // The size of the head bounds their number, as over HTTP/1.1: a field costs 32 bytes at least.
    maxHeaderListPairs: Math.max(4, Math.ceil(maxHeaderSize / 32)),
    settings: { maxConcurrentStreams: MAX_STREAMS, initialWindowSize: STREAM_WINDOW, maxHeaderListSize: maxHeaderSize }
  }
  const http2 = createServer(options)
  http2.on('session', (session) => session.setLocalWindowSize(CONNECTION_WINDOW))
  http2.on('request', (request, response) => server.emit('request', request, response))
  http2.on('checkContinue', (request, response) => {
    if (server.emit('checkContinue', request, response)) return
    response.writeContinue()
    server.emit('request', request, response)
  })
  http2.on('checkExpectation', (request, response) => {
    if (!server.emit('checkExpectation', request, response)) response.writeHead(417).end()
  })
  http2.on('connect', (request, response) => {
    if (!server.emit('connect', request, response)) response.writeHead(405).end()
  })
  http2.on('sessionError', (error, session) => server.emit('sessionError', error, session))
  return http2
}
