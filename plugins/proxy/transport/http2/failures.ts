import { BadResponseError, TargetClosedError } from '../../../errors.ts'
import type { Overloaded, StaleConnection, Unprocessed } from '../types.ts'

/** Names of error codes, by number (RFC 9113, section 7). */
const CODES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED'
]
const PROTOCOL_ERROR = 1
export const REFUSED_STREAM = 7
export const ENHANCE_YOUR_CALM = 11

/** What is known of a session when one of its streams fails. */
export interface SessionState {
  /** Whether the connection still stands. */
  readonly alive: boolean
  /** Streams above it were not processed; Infinity before a GOAWAY. */
  readonly lastStreamId: number
  /** Why the session ended, as far as anybody said. */
  readonly failure: Error | undefined
}

/** What is known of a stream that was closed before its response was complete. */
export interface StreamState {
  /** Undefined when no frame of it was sent. */
  readonly id: number | undefined
  readonly code: number
  /** What Node.js says of it. */
  readonly error: Error | undefined
  /** On a session that had been idle before, and from which nothing has arrived since. */
  readonly unanswered: boolean
  /** A response has begun. */
  readonly answered: boolean
}

/** The failure of an attempt, as it is told to its handler. */
export function failureOf(session: SessionState, { id, code, error, unanswered, answered }: StreamState): Error {
  if (id === undefined || id > session.lastStreamId || code === REFUSED_STREAM) {
    return unprocessed(session.failure ?? new Error(`the stream was closed with ${nameOf(code)}`))
  }
  if (!session.alive) {
    const closed = new TargetClosedError({ cause: session.failure ?? error })
    return unanswered ? stale(closed) : closed
  }
  // Both sides say this of a message that is malformed; a reason to send it again it is in neither case.
  if (code === PROTOCOL_ERROR) return new BadResponseError('stream closed with PROTOCOL_ERROR')
  const reset = new TargetClosedError({ cause: new Error(`the stream was closed with ${nameOf(code)}`) })
  return code === ENHANCE_YOUR_CALM && !answered ? overloaded(reset) : reset
}

/** What a GOAWAY says. */
export function goawayError(code: number, debug: Buffer | undefined): Error {
  const text = debug?.toString('latin1', 0, 200).replace(/[^\x20-\x7e]/g, '?') ?? ''
  return new Error(`the target sent GOAWAY with ${nameOf(code)}${text === '' ? '' : `: ${text}`}`)
}

function nameOf(code: number): string {
  return CODES[code] ?? `code ${code}`
}

function unprocessed(cause: Error): Error & Unprocessed {
  return Object.assign(new TargetClosedError({ cause }), { unprocessed: true } as const)
}

function overloaded(error: Error): Error & Overloaded {
  return Object.assign(error, { overloaded: true } as const)
}

function stale(error: Error): Error & StaleConnection {
  return Object.assign(error, { stale: true } as const)
}
