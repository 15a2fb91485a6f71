import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { setTimeout as pass } from 'node:timers/promises'
import { portOf } from '../port.ts'
import { seeded } from '../soak/content.ts'
import { type Behaviour, parseFaults } from './behaviour.ts'

/** Mean time that a healthy target takes for an answer, exponentially distributed: milliseconds. */
const SERVICE_TIME = 10
/** How many times longer a slow target takes. */
const SLOWNESS = 10
/** Milliseconds by which one that creeps takes longer with each second. */
const CREEP = 20
const OFTEN = 0.3
const SELDOM = 0.1
/** How long a target that flaps is up, and down; the same of one that refuses connections: milliseconds. */
const FLAP = 2_000
const REFUSAL = 1_000
/** How long connections are taken that one serves that hangs: milliseconds. */
const GRACE = 1_000
/** How long a connection is kept after an answer by one that closes idle ones: milliseconds. */
const IDLE = 3
/** Pieces of a body that drips, and the time between them: milliseconds. */
const DROPS = 10
const DROP_TIME = 10

const [, , seed = '1', names = 'healthy'] = process.argv
const random = seeded(Number(seed))
const begin = performance.now()
/** Connections on which nothing is answered. */
const silent = new WeakSet<Socket>()

type Fault = (request: IncomingMessage, response: ServerResponse) => void

/** What is done instead of a good answer; undefined = a good answer is due after all. */
const FAULTS: Readonly<Partial<Record<Behaviour, () => Fault | undefined>>> = {
  'black hole': () => () => {},
  hangs: () => hang,
  drips: () => (request, response) => void drip(request, response),
  'fails fast': () => (random() < OFTEN ? (random() < 0.5 ? refuse : reset) : undefined),
  unavailable: () => (random() < SELDOM ? refuse : undefined),
  resets: () => (random() < SELDOM ? reset : undefined),
  malformed: () => (random() < OFTEN ? garble : undefined),
  truncates: () => (random() < OFTEN ? truncate : undefined),
  'resets late': () => (random() < OFTEN ? resetLate : undefined)
}

async function start(behaviour: Behaviour): Promise<number> {
  const server = createServer((request, response) => {
    const fault = FAULTS[behaviour]?.()
    if (fault === undefined) setTimeout(() => response.end(request.url), timeOf(behaviour))
    else fault(request, response)
    if (behaviour === 'closes idle') response.on('finish', () => setTimeout(() => request.socket.destroy(), IDLE))
  })
  server.keepAliveTimeout = 60_000
  server.on('connection', (socket) => {
    if (behaviour === 'closes at once') socket.destroy()
    else if (performance.now() - begin > GRACE) silent.add(socket)
  })
  const port = await listen(server, 0)
  if (behaviour === 'flaps') setInterval(() => toggle(server, port, true), FLAP)
  if (behaviour === 'refuses') setInterval(() => toggle(server, port, false), REFUSAL)
  return port
}

function timeOf(behaviour: Behaviour): number {
  const time = -Math.log(1 - random()) * SERVICE_TIME
  if (behaviour === 'creeps') return time + ((performance.now() - begin) / 1_000) * CREEP
  return behaviour === 'slow' ? time * SLOWNESS : time
}

const refuse: Fault = (_request, response) => void response.writeHead(503, { 'content-length': 0 }).end()
const reset: Fault = ({ socket }) => void socket.resetAndDestroy()
const garble: Fault = ({ socket }) => void socket.end('HTTP/1.1 OK 200\r\nwhat: is this\r\n\r\n')

const hang: Fault = ({ socket, url }, response) => {
  if (!silent.has(socket)) setTimeout(() => response.end(url), timeOf('healthy'))
}

const truncate: Fault = ({ socket, url = '' }, response) => {
  response.writeHead(200, { 'content-length': url.length + 10 })
  response.write(url, () => socket.destroy())
}

const resetLate: Fault = ({ socket, url = '' }, response) => {
  response.writeHead(200, { 'content-length': url.length + 10 })
  response.write(url, () => setTimeout(() => socket.resetAndDestroy(), SERVICE_TIME))
}

async function drip({ url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
  const size = Math.ceil(url.length / DROPS)
  for (let drop = 0; drop < DROPS; drop++) {
    response.write(url.slice(drop * size, (drop + 1) * size))
    await pass(DROP_TIME)
  }
  response.end()
}

/** Refuses connections, and may cut those that stand, or is back on its port. */
function toggle(server: Server, port: number, cuts: boolean): void {
  if (!server.listening) void listen(server, port)
  else {
    // The `close()` of node:http would close idle connections, too.
    NetServer.prototype.close.call(server)
    if (cuts) server.closeAllConnections()
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve(portOf(server)))
  })
}

process.on('disconnect', () => process.exit())
process.send?.(await Promise.all(parseFaults(names).map((behaviour) => start(behaviour))))
