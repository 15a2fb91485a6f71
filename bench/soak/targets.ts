import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { portOf } from '../port.ts'
import { contentOf, digest, seeded } from './content.ts'

/** What the targets have seen. */
export interface TargetReport {
  readonly requests: number
  /** POST requests that came more than once. */
  readonly duplicates: number
}

type Fault = (socket: Socket, body: Buffer, response: ServerResponse) => void

const head = (...lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
const half = (body: Buffer) => body.subarray(0, body.length >> 1)

/** What a target does instead of answering in order; each is as likely as the others. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'reset before the head': (socket) => socket.resetAndDestroy(),
  'end before the head': (socket) => socket.end(),
  'reset in the head': (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Le', () => socket.resetAndDestroy()),
  'reset in a counted body': (socket, body) => {
    socket.write(head(`Content-Length: ${body.length + 10}`))
    socket.write(half(body), () => socket.resetAndDestroy())
  },
  'end in a counted body': (socket, body) => {
    socket.write(head(`Content-Length: ${body.length + 10}`))
    socket.end(body)
  },
  'reset in a body up to the end': (socket, body) => {
    socket.write(head())
    socket.write(half(body), () => setTimeout(() => socket.resetAndDestroy(), 5))
  },
  'a chunk that is too long': (socket, body) => {
    socket.write(`${head('Transfer-Encoding: chunked')}5\r\nhello, too long\r\n`)
    socket.end(body)
  },
  'length and chunks': (socket) =>
    socket.write(`${head('Content-Length: 5', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`),
  garbage: (socket) => socket.write('\x00\x01\x02 SSH-2.0 what is this\r\n\r\n'),
  'no answer': () => {},
  'no end': (socket, body) => {
    socket.write(head(`Content-Length: ${body.length + 10}`))
    socket.write(half(body))
  },
  busy: (_socket, _body, response) => response.writeHead(503, { 'content-length': 4 }).end('busy'),
  'busy for a second': (_socket, _body, response) =>
    response.writeHead(503, { 'content-length': 4, 'retry-after': '1' }).end('busy')
}

const FAULT_SHARE = 0.25
const names = Object.keys(FAULTS)
const random = seeded(Number(process.argv[2]))
const posts = new Map<string, number>()
let requests = 0

async function start(): Promise<void> {
  const ports: number[] = []
  for (let i = 0; i < 4; i++) {
    const server = createServer(answer)
    server.on('clientError', (_error, socket) => socket.destroy())
    // Shorter than the gateway keeps connections: some are closed just as they are used again.
    server.keepAliveTimeout = 500 + 1_000 * i
    ports.push(await new Promise((done) => server.listen(0, '127.0.0.1', () => done(portOf(server)))))
  }
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 2 ** 24 })
  sockets.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
    socket.on('error', () => {})
  })
  await new Promise((done) => sockets.once('listening', done))
  process.send?.([...ports, portOf(sockets)])
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const [, id = '', size = ''] = (request.url ?? '').split('/')
  const chunks: Buffer[] = []
  requests++
  if (request.method === 'POST') posts.set(id, (posts.get(id) ?? 0) + 1)
  const early = random() < 0.01
  if (early && request.method !== 'GET') {
    response.writeHead(413, { 'content-length': 3 }).end('big')
    request.resume()
    return
  }
  request.on('error', () => {})
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = contentOf(Number(id), Number(size))
    const name = random() < FAULT_SHARE ? names[Math.floor(random() * names.length)] : undefined
    const fault = name === undefined ? undefined : FAULTS[name]
    if (fault !== undefined) fault(request.socket, body, response)
    else succeed(response, body, digest(Buffer.concat(chunks)))
  })
}

function succeed(response: ServerResponse, body: Buffer, sum: string): void {
  response.setHeader('x-received', sum)
  if (random() < 0.05) response.writeEarlyHints({ link: '</a.css>; rel=preload' })
  if (random() < 0.5) response.setHeader('content-length', body.length)
  const end = () => response.end(body)
  if (random() < 0.1) setTimeout(end, random() * 100)
  else end()
}

process.on('message', () => {
  const duplicates = [...posts.values()].filter((count) => count > 1).length
  const report: TargetReport = { requests, duplicates }
  process.send?.(report)
})
process.on('disconnect', () => process.exit())
await start()
