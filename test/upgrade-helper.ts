import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type ClientOptions, type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { eventually, RawClient } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'

/** A WebSocket target on a free port, which answers by what `onSocket` does. */
export async function startWebSocketTarget(
  t: TestContext,
  onSocket: (socket: WebSocket, request: IncomingMessage) => void,
  options: ServerOptions = {}
): Promise<{ url: string; server: WebSocketServer }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options })
  server.on('connection', (socket, request) => {
    socket.on('error', () => {})
    onSocket(socket, request)
  })
  await once(server, 'listening')
  t.after(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  const address = server.address()
  if (typeof address === 'string' || address === null) throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}`, server }
}

/** Sends every message back as it came. */
export function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}

/** What a WebSocket has received so far. */
export class WebSocketClient {
  readonly socket: WebSocket
  readonly messages: { data: Buffer; binary: boolean }[] = []
  closed: { code: number; reason: string } | undefined = undefined

  constructor(t: TestContext, port: number, path = '/', protocols: string[] = [], options: ClientOptions = {}) {
    const scheme = options.rejectUnauthorized === false ? 'wss' : 'ws'
    this.socket = new WebSocket(`${scheme}://127.0.0.1:${port}${path}`, protocols, options)
    this.socket.on('message', (data, binary) => {
      this.messages.push({ data: Buffer.isBuffer(data) ? data : Buffer.concat([data].flat().map(toBuffer)), binary })
    })
    this.socket.on('error', () => {})
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
    })
    t.after(() => this.socket.terminate())
  }

  async open(): Promise<this> {
    await once(this.socket, 'open')
    return this
  }

  /** The next message, as text. */
  async next(): Promise<string> {
    const count = this.messages.length
    await eventually(() => this.messages.length > count, 'no message came')
    return this.messages[count]?.data.toString() ?? ''
  }

  async end(): Promise<{ code: number; reason: string }> {
    await eventually(() => this.closed !== undefined, 'the WebSocket stays open')
    return this.closed ?? { code: 0, reason: '' }
  }
}

function toBuffer(data: Buffer | ArrayBuffer): Buffer {
  return Buffer.isBuffer(data) ? data : Buffer.from(data)
}

/** Resolves with the answer to a handshake that was refused. */
export async function refusal(
  socket: WebSocket
): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
  const [, response]: [unknown, IncomingMessage] = await new Promise((resolve) => {
    socket.once('unexpected-response', (...args) => resolve(args))
  })
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode ?? 0, headers: response.headers, body }
}

export const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n'

/** The head of a request that asks for a protocol. */
export function asking(protocol = 'foo', path = '/', headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${headers}\r\n`
}

/** A raw target that answers heads of requests, and keeps all bytes it gets on its latest connection. */
export class RawTarget {
  readonly url: string
  readonly sockets: Set<Socket>
  /** Everything received on all connections. */
  text = ''
  /** How often the other side has closed its half. */
  ends = 0
  latest: Socket | undefined = undefined

  private constructor(url: string, sockets: Set<Socket>) {
    this.url = url
    this.sockets = sockets
  }

  /** A target that answers the first bytes of each connection with `answer`, and leaves the rest to the test. */
  static async start(t: TestContext, answer: string | Buffer = SWITCH): Promise<RawTarget> {
    let target: RawTarget | undefined
    const { url, sockets } = await startRawTarget(t, (socket) => target?.attach(socket, answer))
    target = new RawTarget(url, sockets)
    return target
  }

  async until(text: string): Promise<string> {
    await eventually(() => this.text.includes(text), `the target has not received: ${text}`)
    return this.text
  }

  /** Resolves once the other side has closed its half. */
  async end(): Promise<void> {
    await eventually(() => this.ends > 0, 'the target does not learn of the end')
  }

  private attach(socket: Socket, answer: string | Buffer): void {
    this.latest = socket
    socket.once('data', () => socket.write(answer))
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1')
    })
    socket.on('end', () => this.ends++)
  }
}

/** A client that has switched to a protocol. */
export async function switchTo(t: TestContext, port: number, protocol = 'foo'): Promise<RawClient> {
  const client = new RawClient(t, port)
  client.write(asking(protocol))
  await client.until('\r\n\r\n')
  return client
}
