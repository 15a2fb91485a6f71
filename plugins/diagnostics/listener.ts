import { createHash, timingSafeEqual } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { pipeline } from 'node:stream'
import {
  DiagnosticsForbiddenError,
  DiagnosticsNotFoundError,
  DiagnosticsRequestError,
  DiagnosticsUnauthorizedError
} from '../errors.ts'
import { type Artifacts, isKind } from './artifacts.ts'
import type { Jobs } from './jobs.ts'
import type { Refusal } from './refusals.ts'
import type { TakeOptions } from './types.ts'

/** Connections take descriptors of the gateway itself, and whoever is on this machine can open them. */
const MAX_CONNECTIONS = 64
const REQUEST_TIMEOUT = 10_000
const MAX_PATH = 256
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

interface Parts {
  readonly token: string
  readonly jobs: Pick<Jobs, 'take' | 'wait'>
  readonly artifacts: Artifacts
  readonly onRefused: (refusal: Omit<Refusal, 'untold'>) => void
}

/**
 * The listener of the diagnostics. It lives in a worker and on `node:http` alone, so that it answers while the main
 * thread does not.
 */
export function createListener(parts: Parts): Server {
  const limits = { headersTimeout: REQUEST_TIMEOUT, requestTimeout: REQUEST_TIMEOUT }
  const server = createServer(limits, (request, response) => {
    serve(parts, request, response).catch((error: unknown) => {
      const { status, code, message } = describe(error)
      parts.onRefused({ status, code, path: pathOf(request).slice(0, MAX_PATH) })
      if (status === 409 || status === 429) response.setHeader('retry-after', Math.ceil(parts.jobs.wait / 1_000))
      if (status === 401) response.setHeader('www-authenticate', 'Bearer realm="diagnostics"')
      sendJson(response, status, { statusCode: status, code, error: STATUS_CODES[status], message })
    })
  })
  server.maxConnections = MAX_CONNECTIONS
  return server
}

async function serve(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // A body is of no use to anybody here.
  request.resume()
  // The address of the socket: what headers say of the client, the client says.
  if (!isLoopback(request.socket.remoteAddress)) throw new DiagnosticsForbiddenError()
  // Browsers on this machine may be led here by a name of somebody else's (DNS rebinding).
  if (!isLocalHost(request.headers.host)) throw new DiagnosticsForbiddenError()
  if (!holdsToken(request.headers.authorization, parts.token)) throw new DiagnosticsUnauthorizedError()
  const [, query] = (request.url ?? '').split('?', 2)
  const [, first = '', name, ...rest] = pathOf(request).split('/')
  if (rest.length > 0) throw new DiagnosticsRequestError('no such path')

  if (first === 'artifacts' && name === undefined && request.method === 'GET') {
    sendJson(response, 200, parts.artifacts.list())
  } else if (first === 'artifacts' && name !== undefined) {
    serveArtifact(parts.artifacts, name, request, response)
  } else if (isKind(first) && name === undefined && request.method === 'POST') {
    sendJson(response, 201, await parts.jobs.take(first, 'manual', readOptions(new URLSearchParams(query))))
  } else {
    throw new DiagnosticsRequestError(`no ${request.method} of that path`)
  }
}

function serveArtifact(artifacts: Artifacts, name: string, request: IncomingMessage, response: ServerResponse): void {
  const artifact = artifacts.find(name)
  if (artifact === undefined) throw new DiagnosticsNotFoundError()
  if (request.method === 'DELETE') {
    artifacts.remove(name)
    response.writeHead(204, HEADERS).end()
  } else if (request.method === 'GET') {
    const type = name.endsWith('.gz') ? 'application/gzip' : 'application/json'
    const fd = artifacts.open(name)
    response.writeHead(200, { ...HEADERS, 'content-type': type, 'content-length': artifact.bytes })
    pipeline(createReadStream('', { fd }), response, () => {})
  } else {
    throw new DiagnosticsRequestError(`no ${request.method} of artifacts`)
  }
}

function holdsToken(authorization: string | undefined, token: string): boolean {
  const [, shown = ''] = /^Bearer (\S+)$/i.exec(authorization ?? '') ?? []
  // Digests have one length, so that not even the length of the token shows in the time this takes.
  return timingSafeEqual(digest(shown), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(?:::1|(?:::ffff:)?127(?:\.\d+){3})$/.test(address)
}

function isLocalHost(host: string | undefined): boolean {
  const name = host?.replace(/:\d+$/, '')
  return name === 'localhost' || isLoopback(name?.replace(/^\[(.*)\]$/, '$1'))
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '/'
}

function readOptions(parameters: URLSearchParams): TakeOptions {
  const [seconds, timeoutMs] = ['seconds', 'timeoutMs'].map((name) => parameters.get(name))
  return {
    ...(typeof seconds === 'string' ? { seconds: Number(seconds) } : {}),
    ...(typeof timeoutMs === 'string' ? { timeoutMs: Number(timeoutMs) } : {})
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`
  response
    .writeHead(status, { ...HEADERS, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text)
}

/** What another thread or a client is told of an error. */
export function describe(error: unknown): { status: number; code: string; message: string } {
  if (!(error instanceof Error))
    return { status: 500, code: 'FST_GATEWAY_DIAGNOSTICS_UNAVAILABLE', message: String(error) }
  const status: unknown = Reflect.get(error, 'statusCode')
  const code: unknown = Reflect.get(error, 'code')
  return {
    status: typeof status === 'number' ? status : 500,
    code: typeof code === 'string' ? code : 'FST_GATEWAY_DIAGNOSTICS_UNAVAILABLE',
    message: error.message
  }
}
