import type { RequestListener } from 'node:http'
import { WebSocketServer } from 'ws'
import { type Start, serve } from './serve.ts'

export const USER = { id: 42, name: 'Ada Lovelace', roles: ['admin', 'author'], active: true }
const BODY = Buffer.from(JSON.stringify(USER))

/** Answers by itself, and sends WebSocket messages back. */
export const origin: Start = (options) => {
  const server = serve(options, answer)
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    socket.on('error', () => {})
  })
}

const answer: RequestListener = (request, response) => {
  request.resume()
  const size = /^\/bytes\/(\d+)$/.exec(request.url ?? '')?.[1]
  const body = size === undefined ? BODY : Buffer.alloc(Number(size), 'x')
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  })
}
