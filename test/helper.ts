import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net'
import { resolve } from 'node:path'
import type { TestContext } from 'node:test'

/** Reads a JSON file of `test/fixtures`; tests run with the project's root as working directory. */
export function fixture<T>(name: string): T {
  return JSON.parse(readFileSync(resolve('test/fixtures', name), 'utf8'))
}

/** A real HTTP target on a free port of 127.0.0.1, closed when the test ends. */
export async function startTarget(
  t: TestContext,
  handler: RequestListener
): Promise<{ url: string; server: Server; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createServer(handler)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await listen(server)
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${portOf(server)}`, server, sockets }
}

/** A TCP target that does exactly what its script says, for answers that no HTTP server would give. */
export async function startRawTarget(
  t: TestContext,
  onSocket: (socket: Socket) => void
): Promise<{ url: string; server: TcpServer; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    onSocket(socket)
  })
  await listen(server)
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `http://127.0.0.1:${portOf(server)}`, server, sockets }
}

/** The port a server listens on. */
export function portOf(server: TcpServer | Server): number {
  return (server.address() as AddressInfo).port
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createTcpServer()
  await listen(server)
  const port = portOf(server)
  await new Promise((done) => server.close(done))
  return port
}

function listen(server: TcpServer | Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
}
