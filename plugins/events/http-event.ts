import { validateHeaderName, validateHeaderValue } from 'node:http'
import { MalformedResultError } from '../errors.ts'
import type { EventAnswer } from './answer.ts'
import { isPlain } from './schema.ts'
import { writeJson } from './strict-json.ts'

/**
 * A request as an event, in the form of AWS Lambda's payload format 2.0, so that the same function can stand behind this
 * gateway and behind a function URL.
 *
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export interface HttpEvent {
  readonly version: '2.0'
  readonly rawPath: string
  readonly rawQueryString: string
  readonly cookies?: readonly string[]
  /** Names in lower case; values of names that occur again are joined by commas. */
  readonly headers: Readonly<Record<string, string>>
  readonly queryStringParameters?: Readonly<Record<string, string>>
  readonly requestContext: {
    readonly http: {
      readonly method: string
      readonly path: string
      readonly protocol: string
      readonly sourceIp: string
      readonly userAgent: string
    }
    readonly requestId: string
    readonly timeEpoch: number
  }
  readonly body?: string
  readonly isBase64Encoded: boolean
}

/** What an `HttpEvent` is made from. */
export interface HttpRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  /** Flat pairs. */
  readonly headers: readonly string[]
  readonly body: Buffer
  readonly sourceIp: string
  readonly requestId: string
}

const TEXT_TYPE =
  /^(?:text\/|application\/(?:json|xml|javascript|x-www-form-urlencoded)|[\w.+-]+\/[\w.+-]+\+(?:json|xml))/i
/** Of the connection, or made from the body here. */
const NOT_THEIRS = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding', 'upgrade'])

/** Whether a body of that type goes as text, and not as base64. */
export function isText(contentType: string | undefined, contentEncoding: string | undefined): boolean {
  const plain = contentEncoding === undefined || contentEncoding === '' || contentEncoding.toLowerCase() === 'identity'
  return plain && contentType !== undefined && TEXT_TYPE.test(contentType)
}

export function toHttpEvent({ method, url, headers: pairs, body, sourceIp, requestId }: HttpRequest): HttpEvent {
  const mark = url.indexOf('?')
  const rawPath = mark < 0 ? url : url.slice(0, mark)
  const rawQueryString = mark < 0 ? '' : url.slice(mark + 1)
  const { headers, cookies } = collect(pairs)
  const text = isText(headers['content-type'], headers['content-encoding'])
  return {
    version: '2.0',
    rawPath,
    rawQueryString,
    ...(cookies.length > 0 ? { cookies } : {}),
    headers,
    ...(rawQueryString === '' ? {} : { queryStringParameters: joinQuery(rawQueryString) }),
    requestContext: {
      http: { method, path: rawPath, protocol: 'HTTP/1.1', sourceIp, userAgent: headers['user-agent'] ?? '' },
      requestId,
      timeEpoch: Date.now()
    },
    ...(body.length === 0 ? {} : { body: body.toString(text ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !text
  }
}

function collect(pairs: readonly string[]): { headers: Record<string, string>; cookies: string[] } {
  const headers: Record<string, string> = {}
  let cookies: string[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    const name = (pairs[i] ?? '').toLowerCase()
    const value = pairs[i + 1] ?? ''
    // Function Compute's, which hold its temporary credentials.
    if (name.startsWith('x-fc-')) continue
    if (name === 'cookie') cookies = [...cookies, ...value.split(';').map((cookie) => cookie.trim())]
    else headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`
  }
  return { headers, cookies }
}

function joinQuery(query: string): Record<string, string> {
  const parameters: Record<string, string> = {}
  for (const [name, value] of new URLSearchParams(query)) {
    parameters[name] = parameters[name] === undefined ? value : `${parameters[name]},${value}`
  }
  return parameters
}

/**
 * The response that a function of mode `http` means by its result. Without a `statusCode`, the whole result is the body,
 * as JSON. Throws MalformedResultError, InvalidResultError.
 */
export function readHttpResult(result: unknown): EventAnswer {
  if (!isPlain(result) || result.statusCode === undefined) {
    const body = Buffer.from(writeJson(result ?? null))
    return { status: 200, headers: ['content-type', 'application/json', 'content-length', `${body.length}`], body }
  }
  const status = Number(result.statusCode)
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new MalformedResultError('no such statusCode')
  const body = readBody(result)
  const headers: string[] = []
  for (const values of [result.headers, result.multiValueHeaders]) pushHeaders(headers, values)
  for (const cookie of listOf(result.cookies, 'cookies')) pushHeader(headers, 'set-cookie', cookie)
  if (body.length > 0 && !headers.includes('content-type')) headers.push('content-type', 'application/json')
  if (status !== 204 && status !== 304) headers.push('content-length', String(body.length))
  return { status, headers, body: status === 204 || status === 304 ? Buffer.alloc(0) : body }
}

function readBody({ body, isBase64Encoded }: Readonly<Record<string, unknown>>): Buffer {
  if (body === undefined || body === null) return Buffer.alloc(0)
  if (typeof body !== 'string') throw new MalformedResultError('body is no string')
  return Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8')
}

function pushHeaders(headers: string[], values: unknown): void {
  if (values === undefined || values === null) return
  if (!isPlain(values)) throw new MalformedResultError('headers are no mapping')
  for (const [name, value] of Object.entries(values)) {
    if (NOT_THEIRS.has(name.toLowerCase())) continue
    for (const item of Array.isArray(value) ? value : [value]) pushHeader(headers, name.toLowerCase(), item)
  }
}

function listOf(value: unknown, name: string): unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new MalformedResultError(`${name} is no list`)
  return value
}

function pushHeader(headers: string[], name: string, value: unknown): void {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
    throw new MalformedResultError('a header is no text')
  }
  try {
    validateHeaderName(name)
    validateHeaderValue(name, String(value))
  } catch {
    throw new MalformedResultError('a header cannot be sent')
  }
  headers.push(name, String(value))
}
