import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders
} from 'node:http2'
import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { GatewayOptions } from '../plugins/config/index.ts'
import type { Layer } from '../plugins/middleware/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { eventually, type UpstreamSketch } from './forwarding-helper.ts'
import { fixture, portOf } from './helper.ts'

export const certificate = fixture<{ cert: string; key: string }>('localhost-tls.json')

export interface Http2Sketch {
  upstream?: UpstreamSketch
  route?: object
  options?: Omit<GatewayOptions, 'upstreams' | 'routes'>
  layers?: readonly Layer[]
  /** An onSend hook of the application. */
  onSend?: (payload: unknown) => unknown
  tls?: boolean
}

export interface Http2Gateway {
  port: number
  /** A connection of its own, closed when the test ends. */
  connect(): ClientHttp2Session
  /** Resolves once no attempt is in flight at any target; rejects if that takes more than 10 s. */
  idle(): Promise<void>
}

/** A gateway in an application whose server speaks HTTP/2, with the route `/*` to one upstream. */
export async function startHttp2Gateway(
  t: TestContext,
  targets: UpstreamSketch['targets'],
  { upstream = {}, route = {}, options = {}, layers = [], onSend, tls = false }: Http2Sketch = {}
): Promise<Http2Gateway> {
  const busy = { check: () => false }
  const setup = fp(async (app: FastifyInstance) => {
    if (onSend !== undefined) app.addHook('onSend', async (_request, _reply, payload) => onSend(payload))
    await app.register(proxy, {
      ...options,
      layers,
      upstreams: { users: { targets, ...upstream } },
      routes: [{ id: 'all', match: { path: '/*' }, upstream: 'users', ...route }]
    })
    busy.check = () => app.balancers.get('users').targets.some(({ inFlight }) => inFlight !== 0)
  })
  const app = tls ? secureApp(setup) : plainApp(setup)
  const sessions: ClientHttp2Session[] = []
  t.after(async () => {
    for (const session of sessions) session.destroy()
    await app.close()
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const port = portOf(app.server)
  return {
    port,
    connect() {
      const session = connectHttp2(port, tls)
      sessions.push(session)
      return session
    },
    idle: () => eventually(() => !busy.check(), 'an attempt stays in flight')
  }
}

function plainApp(setup: FastifyPluginAsync) {
  const app = Fastify({ http2: true, forceCloseConnections: true })
  app.register(setup)
  return app
}

function secureApp(setup: FastifyPluginAsync) {
  const app = Fastify({ http2: true, https: { ...certificate, allowHTTP1: true }, forceCloseConnections: true })
  app.register(setup)
  return app
}

/** A client connection; whoever opens it has to close it. */
export function connectHttp2(port: number, tls = false): ClientHttp2Session {
  // What the test itself has yet to send counts as memory of the session, too.
  const options = { ca: certificate.cert, maxSessionMemory: 100 }
  const session = connect(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, options)
  session.on('error', () => {})
  return session
}

export interface Http2Reply {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  trailers: IncomingHttpHeaders
  /** Code with which the stream was reset; 0 if it was not, or without an error. */
  code: number
}

/** Sends a request and reads the whole response, or what came of it before its stream was reset. */
export async function sendHttp2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer
): Promise<Http2Reply> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return readReply(stream)
}

/** Reads the whole response on a stream, or what came of it before the stream was reset. */
export async function readReply(stream: ClientHttp2Stream): Promise<Http2Reply> {
  const reply: Http2Reply = { status: 0, headers: {}, body: Buffer.alloc(0), trailers: {}, code: 0 }
  const chunks: Buffer[] = []
  stream.on('response', (headers) => {
    reply.status = headers[':status'] ?? 0
    reply.headers = plain(headers)
  })
  stream.on('trailers', (trailers) => {
    reply.trailers = plain(trailers)
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('error', () => {})
  await new Promise((resolve) => stream.on('close', resolve))
  return { ...reply, body: Buffer.concat(chunks), code: stream.rstCode }
}

/** Header fields alone, without what Node.js adds to them. */
export function plain(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers))
}
