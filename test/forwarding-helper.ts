import assert from 'node:assert/strict'
import { type IncomingMessage, type RequestOptions, type Server, request as sendHttp } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import Fastify, { type FastifyHttpOptions, type FastifyInstance } from 'fastify'
import type { GatewayOptions } from '../plugins/config/index.ts'
import events, { type EventsOptions } from '../plugins/events/index.ts'
import type { Layer } from '../plugins/middleware/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { portOf } from './helper.ts'

/** What is said of the only upstream; everything else is as if the configuration did not mention it. */
export type UpstreamSketch = NonNullable<GatewayOptions['upstreams']>[string]

export interface GatewaySketch {
  upstream?: UpstreamSketch
  route?: object
  /** Upstreams beside the one with the targets, which is called `users`. */
  more?: Record<string, UpstreamSketch>
  options?: Omit<GatewayOptions, 'upstreams' | 'routes'>
  layers?: readonly Layer[]
  /** Event functions and apps within the process. */
  functions?: EventsOptions['functions']
  apps?: EventsOptions['apps']
  /** Largest event that functions take. */
  eventLimit?: string
  /** Where the gateway listens. @default '127.0.0.1' */
  host?: string
  /** Options of the Fastify instance. */
  server?: FastifyHttpOptions<Server>
  /** Called before the gateway is registered. */
  prepare?: (app: FastifyInstance) => void
}

export interface RunningGateway {
  app: FastifyInstance
  port: number
  /** Resolves once no attempt is in flight at any target; rejects if that takes more than 10 s. */
  idle(): Promise<void>
}

/** A gateway on a free port of 127.0.0.1 with the route `/*` to one upstream, closed when the test ends. */
export async function startGateway(
  t: TestContext,
  targets: UpstreamSketch['targets'],
  {
    upstream = {},
    route = {},
    more = {},
    options = {},
    layers = [],
    functions,
    apps,
    eventLimit,
    host = '127.0.0.1',
    server = {},
    prepare
  }: GatewaySketch = {}
): Promise<RunningGateway> {
  const app = Fastify({ forceCloseConnections: true, ...server })
  prepare?.(app)
  if (functions !== undefined || apps !== undefined) {
    await app.register(events, { functions, apps, bodyLimit: eventLimit, path: false })
  }
  await app.register(proxy, {
    ...options,
    layers,
    upstreams: { users: { targets, ...upstream }, ...more },
    routes: [{ id: 'all', match: { path: '/*' }, upstream: 'users', ...route }]
  })
  t.after(() => app.close())
  await app.listen({ host, port: 0 })
  const busy = () => app.balancers.get('users').targets.some(({ inFlight }) => inFlight !== 0)
  return { app, port: portOf(app.server), idle: () => eventually(() => !busy(), 'an attempt stays in flight') }
}

/** An onSend hook of somebody else, which takes responses off the fast path. */
export function foreignHook(app: FastifyInstance): void {
  app.addHook('onSend', async (_request, _reply, payload) => payload)
}

/** Waits until a condition holds, turn by turn of the event loop; rejects after `limit` milliseconds. */
export async function eventually(condition: () => boolean, otherwise: string, limit = 10_000): Promise<void> {
  const end = performance.now() + limit
  while (!condition()) {
    if (performance.now() > end) throw new Error(otherwise)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export interface Reply {
  status: number
  reason: string
  /** Flat pairs as they came. */
  raw: string[]
  headers: IncomingMessage['headers']
  body: Buffer
  trailers: string[]
  /** False when the body was visibly cut. */
  complete: boolean
}

/** Sends a request and reads the whole response; rejects only when there is no head of one. */
export function send(port: number, options: RequestOptions = {}, body: string | Buffer = ''): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = sendHttp({ host: '127.0.0.1', port, agent: false, ...options }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => {})
      response.on('close', () =>
        resolve({
          status: response.statusCode ?? 0,
          reason: response.statusMessage ?? '',
          raw: response.rawHeaders,
          headers: response.headers,
          body: Buffer.concat(chunks),
          trailers: response.rawTrailers,
          complete: response.complete
        })
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** A client that writes and reads bytes. */
export class RawClient {
  readonly socket: Socket
  /** Everything received, one character a byte. */
  text = ''
  /** How the connection ended: by an orderly close, or by a reset. */
  closed: 'no' | 'end' | 'reset' = 'no'

  constructor(t: TestContext, port: number) {
    this.socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    this.socket.setEncoding('latin1')
    this.socket.on('data', (text: string) => {
      this.text += text
    })
    this.socket.on('end', () => {
      // A reset right behind the last data is reported as an orderly end; writing tells them apart, even writing nothing.
      this.socket.write('', (error) => {
        if (this.closed === 'no') this.closed = error ? 'reset' : 'end'
        this.socket.end()
      })
    })
    this.socket.on('error', () => {
      this.closed = 'reset'
    })
    t.after(() => this.socket.destroy())
  }

  write(text: string | Buffer): void {
    if (typeof text === 'string') this.socket.write(text, 'latin1')
    else this.socket.write(text)
  }

  /** Resolves with everything received once it holds the text. */
  async until(text: string): Promise<string> {
    await eventually(() => this.text.includes(text), `not received: ${text}`)
    return this.text
  }

  /** Resolves with everything received once the connection is over. */
  async end(): Promise<string> {
    await eventually(() => this.closed !== 'no', 'the connection stays open')
    return this.text
  }
}

/** The bytes a raw target has received so far on all its connections, and what it does for each complete request head. */
export function script(onHead: (socket: Socket, head: string, index: number) => void): {
  heads: string[]
  onSocket: (socket: Socket) => void
} {
  const heads: string[] = []
  return {
    heads,
    onSocket(socket) {
      let text = ''
      socket.on('end', () => socket.end())
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
        for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
          const head = text.slice(0, end)
          text = text.slice(end + 4)
          // What follows a request without a body is the next request; bodies are left to other targets.
          if (!/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(head)) continue
          heads.push(head)
          onHead(socket, head, heads.length - 1)
        }
      })
    }
  }
}

/** A raw target that answers every request with the same bytes. */
export function always(answer: string): ReturnType<typeof script> {
  return script((socket) => socket.write(answer, 'latin1'))
}

/** The values of a header in a head, in order. */
export function valuesOf(head: string, name: string): string[] {
  const lines = head.split('\r\n').slice(1)
  const prefix = `${name}: `
  return lines.filter((line) => line.toLowerCase().startsWith(prefix)).map((line) => line.slice(prefix.length))
}

/** Values of a header in flat pairs, in order. */
export function pick(raw: readonly string[], name: string): string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name)
}

/** A response of the gateway itself. */
export function assertError(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status)
  assert.equal(JSON.parse(reply.body.toString()).code, code)
}
