import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

export { greeting } from './greeting.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The demo backends, as `GATEWAY_TARGETS` would name them. */
    gatewayDemo: string
  }
}

const BACKENDS = [
  { name: 'alpha', weight: 5 },
  { name: 'beta', weight: 1 },
  { name: 'gamma', weight: 1 }
]

/** Starts three small backends on free ports of 127.0.0.1, for a first look at the gateway; they close with the app. */
const demo: FastifyPluginAsync = async (fastify) => {
  const targets: string[] = []
  for (const { name, weight } of BACKENDS) {
    const server = createServer((request, response) => answer(name, request, response))
    targets.push(`http://127.0.0.1:${await listen(server)};weight=${weight}`)
    fastify.addHook('onClose', async () => {
      server.close()
      server.closeAllConnections()
    })
  }
  fastify.decorate('gatewayDemo', targets.join(','))
}

/** Says as JSON who answered, and what the request looked like when it arrived. */
function answer(name: string, request: IncomingMessage, response: ServerResponse): void {
  let bodyBytes = 0
  request.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length
  })
  request.on('end', () => {
    const { method, url: path, headers, socket } = request
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.end(`${JSON.stringify({ name, port: socket.localPort, method, path, headers, bodyBytes })}\n`)
  })
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

export default fp(demo, { name: 'gateway-demo', fastify: '5.x' })
