import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seeded } from '../soak/content.ts'
import type { Behaviour } from './behaviour.ts'

/** Mean time that a healthy target takes for an answer, exponentially distributed: milliseconds. */
const SERVICE_TIME = 10
/** How many times longer a slow target takes. */
const SLOWNESS = 10
const FAILURE_SHARE = 0.3
/** How long a target that flaps is up, and down: milliseconds. */
const FLAP = 2_000

const [, , seed = '1', ...behaviours] = process.argv
const random = seeded(Number(seed))

async function start(behaviour: string): Promise<number> {
  const server = createServer((request, response) => answer(behaviour, request, response))
  server.keepAliveTimeout = 60_000
  const port = await listen(server, 0)
  if (behaviour === 'flaps') setInterval(() => toggle(server, port), FLAP)
  return port
}

function answer(behaviour: string, { socket, url = '' }: IncomingMessage, response: ServerResponse): void {
  if (behaviour === 'black hole') return
  if (behaviour === 'truncates' && random() < FAILURE_SHARE) {
    response.writeHead(200, { 'content-length': url.length + 10 })
    response.write(url, () => socket.destroy())
    return
  }
  if (behaviour === 'fails fast' && random() < FAILURE_SHARE) {
    if (random() < 0.5) response.writeHead(503, { 'content-length': 0 }).end()
    else socket.destroy()
    return
  }
  const time = -Math.log(1 - random()) * SERVICE_TIME * (behaviour === 'slow' ? SLOWNESS : 1)
  setTimeout(() => response.end(url), time)
}

/** Refuses connections and cuts those that stand, or is back on its port. */
function toggle(server: Server, port: number): void {
  if (!server.listening) void listen(server, port)
  else {
    server.close()
    server.closeAllConnections()
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve(portOf(server.address())))
  })
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}

process.on('disconnect', () => process.exit())
process.send?.(await Promise.all(behaviours.map((behaviour: Behaviour | string) => start(behaviour))))
