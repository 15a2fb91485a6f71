import type { RetryCondition, UpstreamConfig } from '../../config/index.ts'
import {
  BadResponseError,
  ConnectFailedError,
  ConnectTimeoutError,
  ResponseTimeoutError,
  TargetClosedError
} from '../../errors.ts'
import { readRetryAfter } from './retry-after.ts'
import { RetryBudget } from './retry-budget.ts'
import type { OutgoingRequest } from './types.ts'

/** The outside world of a retry policy. */
export interface RetryDeps {
  /** A monotonic clock, in milliseconds. */
  readonly now: () => number
  /** A number from 0 up to, not including, 1. */
  readonly random: () => number
  /** Milliseconds since the epoch. */
  readonly date: () => number
}

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

/** What an upstream does about failed attempts: how often, for which failures, how soon, and within which budget. */
export class RetryPolicy {
  /** Further attempts after the first. */
  readonly attempts: number
  /** Bytes of a request body that are kept for another attempt. */
  readonly bodyLimit: number
  readonly budget: RetryBudget
  /** Header for the number of an attempt. */
  readonly attemptHeader: string | undefined

  private readonly config: UpstreamConfig['retry']
  private readonly random: () => number
  private readonly date: () => number

  /** @param elsewhere whether attempts that fail may lead to another upstream */
  constructor(config: UpstreamConfig['retry'], { now, random, date }: RetryDeps, elsewhere = false) {
    this.config = config
    this.attempts = config.attempts
    this.bodyLimit = config.attempts > 0 || elsewhere ? config.bodyLimit : 0
    this.budget = new RetryBudget(config.budget, now)
    this.attemptHeader = config.attemptHeader
    this.random = random
    this.date = date
  }

  covers(condition: RetryCondition | undefined): boolean {
    return condition !== undefined && this.config.on.includes(condition)
  }

  /**
   * Milliseconds to wait before the nth retry of an exchange, the first being 1: exponential with full jitter, so that
   * retries of many clients do not arrive together.
   *
   * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-max-retries
   */
  backoff(retry: number): number {
    const { base, max } = this.config.backoff
    return this.random() * Math.min(max, base * (2 ** retry - 1))
  }

  /** Milliseconds that a response asks to wait by Retry-After; Infinity when that is more than is waited for. */
  waitOf(headers: readonly string[]): number {
    const { maxRetryAfter } = this.config
    if (maxRetryAfter === 0) return 0
    const wait = readRetryAfter(headers, this.date()) ?? 0
    return wait > maxRetryAfter ? Number.POSITIVE_INFINITY : wait
  }
}

/** Whether doing a request twice has the effect of doing it once, by its method. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

/** What a failed attempt is called in `retry.on`; undefined for failures that are never tried again. */
export function conditionOf(error: Error): Exclude<RetryCondition, number> | undefined {
  if (error instanceof ConnectFailedError || error instanceof ConnectTimeoutError) return 'connect'
  if (error instanceof TargetClosedError) return 'reset'
  if (error instanceof BadResponseError) return 'malformed'
  if (error instanceof ResponseTimeoutError) return 'timeout'
  return undefined
}

/**
 * Whether the request may be given to a target once more without a risk of doing twice what was asked for once: always
 * while nothing was sent; after that, only an idempotent one. Either way its body must be there from its first byte.
 */
export function isRepeatable(sent: boolean, { idempotent, body }: OutgoingRequest): boolean {
  return (!sent || idempotent) && (body === undefined || body.replayable)
}
