import type { FastifyReply } from 'fastify'
import { streamOf } from '../../middleware/index.ts'
import type { ResponseHead } from '../transport/index.ts'
import { resetStream } from './http2-response.ts'
import { reset } from './reset.ts'

/** A response on its way to the client. */
export interface Answer {
  /** Something of it has left, or a hook has seen it. Until then another answer may take its place. */
  readonly begun: boolean
  /** Returns `false` when the target must wait. */
  write(chunk: Buffer): boolean
  /** What has arrived so far was written, and there is more to come: time to let it out. */
  flush(): void
  end(trailers: readonly string[]): void
  /** Ends the response so that nobody takes it for complete. False when nothing has left yet: an error can be sent. */
  fail(error: Error): boolean
}

/** What an answer needs of the forwarding it belongs to. */
export interface AnswerSource {
  readonly reply: FastifyReply
  readonly head: ResponseHead
  /** The response headers for the client, flat pairs. */
  readonly pairs: string[]
  /** The client takes data again. */
  resume(): void
  /** Nobody wants the rest of the response. */
  cancel(): void
}

/** Whether a response has no body, whatever its headers say (RFC 9112, section 6.3). */
export function isBodyless(method: string, head: ResponseHead): boolean {
  return head.length === 0 || method === 'HEAD' || head.status === 204 || head.status === 304
}

/**
 * Cuts the connection below an unfinished response, or its stream. Where only the end of the connection would end the
 * body, an orderly close would look like its proper end, so the connection is reset.
 */
export function truncate({ raw, request }: FastifyReply, head: ResponseHead): void {
  const stream = streamOf(request.raw)
  if (stream !== undefined) {
    resetStream(stream)
    return
  }
  // What was written in this very turn of the event loop is still held back, in Node.js 26 by the response and before by
  // its connection, and would be lost: no answer at all.
  raw.uncork()
  raw.socket?.uncork()
  const endsWithConnection = head.length < 0 && request.raw.httpVersion === '1.0'
  if (endsWithConnection && raw.socket !== null) reset(raw.socket)
  raw.destroy()
}

/** Lets the head of a response out before its body. */
export function flushHead({ raw, request }: FastifyReply): void {
  // In HTTP/1.1, flushHeaders() of Node.js would write bytes above 127 as UTF-8.
  if (streamOf(request.raw) === undefined) raw.write('', 'latin1')
  else raw.flushHeaders()
}

/** A number that changes as long as the client takes what was written for it. */
export function progressOf({ raw, request }: FastifyReply): number {
  // The connection below a stream moves for others, too.
  return streamOf(request.raw)?.bufferSize ?? raw.socket?.bytesWritten ?? 0
}

/** Ends a response whose client takes no more of it. */
export function giveUp({ raw, request }: FastifyReply): void {
  const stream = streamOf(request.raw)
  if (stream === undefined) raw.destroy()
  else resetStream(stream)
}
