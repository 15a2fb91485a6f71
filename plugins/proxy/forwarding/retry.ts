import { ConnectFailedError, ConnectTimeoutError, ResponseTimeoutError, TargetClosedError } from '../../errors.ts'
import type { RequestBody } from './request-body.ts'

/** Methods whose effect is the same however often they arrive (RFC 9110, section 9.2.2). */
const IDEMPOTENT = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
  'PROPFIND',
  'REPORT',
  'SEARCH',
  'QUERY'
])

/** What a failed attempt is called in `retry.on`; undefined for failures that are never tried again. */
export function conditionOf(error: Error): 'connect' | 'reset' | 'timeout' | undefined {
  if (error instanceof ConnectFailedError || error instanceof ConnectTimeoutError) return 'connect'
  if (error instanceof TargetClosedError) return 'reset'
  if (error instanceof ResponseTimeoutError) return 'timeout'
  return undefined
}

/**
 * Whether the request may be given to a target once more without a risk of doing twice what was asked for once: always
 * while nothing was sent; after that, only an idempotent request whose body can be replayed whole.
 */
export function isRepeatable(sent: boolean, method: string, body: RequestBody | undefined): boolean {
  if (!sent) return true
  return IDEMPOTENT.has(method) && (body === undefined || body.replayable)
}
