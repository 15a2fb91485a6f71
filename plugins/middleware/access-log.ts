import { ClientClosedError, InvalidMiddlewareError } from '../errors.ts'
import type { Exchange } from './exchange.ts'
import type { LayerPair } from './types.ts'

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

export interface AccessLogOptions {
  /** Level of the line. @default 'info' */
  level?: (typeof levels)[number]
}

/** Logs one line per exchange when it has ended, through the logger of the request. */
export function accessLog(options: AccessLogOptions = {}): LayerPair {
  const { level = 'info' } = options
  if (!levels.includes(level)) {
    throw new InvalidMiddlewareError(`access log level '${level}' is not one of ${levels.join(', ')}`)
  }

  return {
    name: 'access-log',
    onResponse(exchange) {
      exchange.request.log[level](fields(exchange), 'exchange ended')
    }
  }
}

function fields(exchange: Exchange) {
  const { request, reply, error } = exchange
  const totalTime = performance.now() - exchange.startedAt
  return {
    route: exchange.route,
    upstream: exchange.upstream,
    target: exchange.target,
    method: request.method,
    url: printableUrl(request.originalUrl),
    status: statusOf(exchange),
    bytes: exchange.bytes || plainLength(exchange),
    receivedBytes: reply.raw.statusCode === 101 ? exchange.receivedBytes : undefined,
    totalTime: round(totalTime),
    targetTime: round(exchange.targetTime),
    gatewayTime: round(Math.max(0, totalTime - exchange.targetTime)),
    attempts: exchange.attempts,
    requestId: exchange.requestId,
    error: codeOf(error)
  }
}

// The client of a tunnel has had its answer, however it leaves.
function statusOf({ reply, error }: Exchange): number {
  const { statusCode } = reply.raw
  return error instanceof ClientClosedError && statusCode !== 101 ? 499 : statusCode
}

/**
 * A URL as a log can show it. Clients of HTTP/2 may send bytes above 7E unescaped, and terminals take some of them for
 * commands.
 */
export function printableUrl(url: string): string {
  return url.replace(/[^\x21-\x7e]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`)
}

// What the gateway answers by itself is not counted on its way, and sent in one piece.
function plainLength({ request, reply, error }: Exchange): number {
  const { statusCode } = reply.raw
  if (error instanceof ClientClosedError || request.method === 'HEAD' || statusCode === 304) return 0
  return Number(reply.getHeader('content-length') ?? 0)
}

function codeOf(error: Error | undefined): string | undefined {
  if (error === undefined) return undefined
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}

/** Milliseconds, to the microsecond. */
function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}
