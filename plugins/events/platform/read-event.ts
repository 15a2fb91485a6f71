import { isPlain } from '../schema.ts'
import { encode, parameters, type QueryCoding, writeQuery } from './query.ts'
import type { EventFormat, PlatformRequest } from './types.ts'

/** Of the platform's connection, or made anew from the body; and what Function Compute tells its functions alone. */
const NOT_THE_CLIENTS =
  /^(?:connection|content-length|expect|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|x-fc-.*)$/
/** What a request line cannot hold, and what would end the path. */
const ODD_IN_PATH = /[^\x21-\x7e]|[?#]/gu

type Mapping = Readonly<Record<string, unknown>>

/** The request in an event, or undefined when it has none of the known forms. */
export function readPlatformEvent(event: unknown): PlatformRequest | undefined {
  if (!isPlain(event)) return undefined
  const context = mapping(event.requestContext)
  const format = detect(event, context)
  if (format === undefined) return undefined
  const http = mapping(context.http)
  const method = text(http.method) ?? text(event.httpMethod) ?? 'GET'
  return {
    format,
    method,
    url: pathOf(format, event, context) + queryOf(format, event),
    headers: headersOf(event, text(context.requestId)),
    body: bodyOf(event),
    sourceIp: text(http.sourceIp) ?? text(mapping(context.identity).sourceIp) ?? forwardedFor(event),
    requestId: text(context.requestId)
  }
}

function detect(event: Mapping, context: Mapping): EventFormat | undefined {
  // Authorizers are shown a request that they shall not answer, and messages of WebSocket APIs are none.
  if ('methodArn' in event || 'routeArn' in event || 'connectionId' in context) return undefined
  if (isPlain(context.elb)) return isPlain(event.multiValueHeaders) ? 'alb-multi' : 'alb'
  if (event.version === 'v1' && isPlain(context.http)) return 'function-compute'
  if (event.version === '2.0' && isPlain(context.http)) return 'lambda-v2'
  return text(event.httpMethod) !== undefined && text(event.path) !== undefined ? 'lambda-v1' : undefined
}

function pathOf(format: EventFormat, event: Mapping, context: Mapping): string {
  const path = text(event.rawPath) ?? text(event.path) ?? '/'
  const written = path.replace(ODD_IN_PATH, encode)
  const stage = text(context.stage)
  // The path of an HTTP API begins with its stage, unless that is the default one.
  if (format !== 'lambda-v2' || stage === undefined || stage === '$default') return written || '/'
  const prefix = `/${stage}`
  return written === prefix || written.startsWith(`${prefix}/`) ? written.slice(prefix.length) || '/' : written
}

function queryOf(format: EventFormat, event: Mapping): string {
  const raw = format === 'lambda-v2' ? (text(event.rawQueryString) ?? '') : undefined
  if (raw !== undefined) return raw === '' ? '' : `?${raw}`
  // A load balancer passes on parameters as they were written; the others decode them.
  const coding: QueryCoding = format === 'alb' || format === 'alb-multi' ? 'as-written' : 'decoded'
  const multi = event.multiValueQueryStringParameters
  return writeQuery(parameters(isPlain(multi) ? multi : (event.queryStringParameters ?? event.queryParameters)), coding)
}

function headersOf(event: Mapping, requestId: string | undefined): string[] {
  const headers: string[] = []
  const multi = event.multiValueHeaders
  const all = Object.entries(isPlain(multi) ? multi : mapping(event.headers))
  for (const [spelt, values] of all) {
    const name = spelt.toLowerCase()
    if (NOT_THE_CLIENTS.test(name)) continue
    for (const value of Array.isArray(values) ? values : [values]) {
      if (value !== undefined && value !== null) headers.push(name, String(value))
    }
  }
  const cookies = Array.isArray(event.cookies) ? event.cookies.map(String) : []
  if (cookies.length > 0) headers.push('cookie', cookies.join('; '))
  if (requestId !== undefined && !all.some(([name]) => name.toLowerCase() === 'x-request-id'))
    headers.push('x-request-id', requestId)
  return headers
}

function bodyOf({ body, isBase64Encoded }: Mapping): Buffer {
  if (typeof body !== 'string') return Buffer.alloc(0)
  return Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8')
}

/** The last address is the one that the load balancer saw; those before it are what the client says. */
function forwardedFor(event: Mapping): string | undefined {
  const multi = mapping(event.multiValueHeaders)
  const value = multi['x-forwarded-for'] ?? mapping(event.headers)['x-forwarded-for']
  const list = String(Array.isArray(value) ? (value.at(-1) ?? '') : (value ?? ''))
  const last = list.slice(list.lastIndexOf(',') + 1).trim()
  // A load balancer may be told to write the port, too.
  const [, bracketed, plain] = /^(?:\[(.*)\](?::\d+)?|([\d.]+):\d+)$/.exec(last) ?? []
  return bracketed ?? plain ?? last
}

function mapping(value: unknown): Mapping {
  return isPlain(value) ? value : {}
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
