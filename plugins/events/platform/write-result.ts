import { isText } from '../http-event.ts'
import type { EventFormat, PlatformResponse, PlatformResult } from './types.ts'

/** Of the connection to the application. */
const CONNECTION_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'trailer',
  'transfer-encoding',
  'upgrade'
])
/** Headers that Function Compute does not let its functions set. */
const FUNCTION_COMPUTE_HEADERS = /^(?:content-length|date|server|x-fc-.*)$/

/** A response in the form in which the platform that sent the event reads it. */
export function writePlatformResult(format: EventFormat, response: PlatformResponse): PlatformResult {
  const { status, reason, body } = response
  const headers = group(format, response.headers)
  const asText = isText(headers.get('content-type')?.[0], headers.get('content-encoding')?.[0])
  const content = { body: body.toString(asText ? 'utf8' : 'base64'), isBase64Encoded: body.length > 0 && !asText }
  switch (format) {
    case 'lambda-v2': {
      const cookies = headers.get('set-cookie') ?? []
      headers.delete('set-cookie')
      return { statusCode: status, headers: joined(headers), ...(cookies.length > 0 ? { cookies } : {}), ...content }
    }
    case 'lambda-v1':
      return { statusCode: status, multiValueHeaders: Object.fromEntries(headers), ...content }
    case 'alb-multi': {
      const statusDescription = `${status} ${reason}`.trim()
      return { statusCode: status, statusDescription, multiValueHeaders: Object.fromEntries(headers), ...content }
    }
    case 'alb': {
      const statusDescription = `${status} ${reason}`.trim()
      return { statusCode: status, statusDescription, headers: spread(headers), ...content }
    }
    case 'function-compute':
      return { statusCode: status, headers: spread(headers), ...content }
  }
}

/** What precedes a streamed body: all but the body itself. */
export function writePrelude({
  status,
  headers: pairs
}: Omit<PlatformResponse, 'body'>): Omit<PlatformResult, 'body' | 'isBase64Encoded'> {
  const headers = group('lambda-v2', pairs)
  const cookies = headers.get('set-cookie') ?? []
  headers.delete('set-cookie')
  return { statusCode: status, headers: joined(headers), ...(cookies.length > 0 ? { cookies } : {}) }
}

function group(format: EventFormat, pairs: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (let i = 0; i < pairs.length; i += 2) {
    const name = (pairs[i] ?? '').toLowerCase()
    if (CONNECTION_HEADERS.has(name)) continue
    if (format === 'function-compute' && FUNCTION_COMPUTE_HEADERS.test(name)) continue
    const values = groups.get(name)
    if (values === undefined) groups.set(name, [pairs[i + 1] ?? ''])
    else values.push(pairs[i + 1] ?? '')
  }
  return groups
}

function joined(headers: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  return Object.fromEntries([...headers].map(([name, values]) => [name, values.join(', ')]))
}

/**
 * Where there is one value a name, cookies are told apart by the case of their name: joined by commas, one cookie could
 * pass for an attribute of another (RFC 6265, section 3).
 */
function spread(headers: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  const single = joined(headers)
  const cookies = headers.get('set-cookie')
  if (cookies === undefined) return single
  delete single['set-cookie']
  for (const [index, cookie] of cookies.entries()) single[spell('set-cookie', index)] = cookie
  return single
}

/** The name in its n-th mixture of cases: bit i of n is the case of letter i. */
function spell(name: string, n: number): string {
  let letter = 0
  return name.replace(/[a-z]/g, (char) => ((n >> letter++) & 1 ? char.toUpperCase() : char))
}
