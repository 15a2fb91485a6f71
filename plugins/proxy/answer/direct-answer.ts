import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { streamOf } from '../../middleware/index.ts'
import { groupHeaders, mergeReplyHeaders } from '../forwarding/response-headers.ts'
import type { ResponseHead } from '../transport/index.ts'
import { type Answer, type AnswerSource, flushHead, isBodyless, truncate } from './answer.ts'
import { type Completable, completeAfterTurn } from './completion.ts'
import { toHttp2Fields } from './http2-response.ts'

/** Bytes up to which it costs less to join a body to its head than to write two pieces. */
const SMALL = 1024

/** Writes straight to the socket; for exchanges whose response no hook asks to see. */
export class DirectAnswer implements Answer, Completable {
  begun = false

  private readonly source: AnswerSource
  /** Bytes still to come; negative when unknown. */
  private remaining: number
  private ended = false
  private draining = false
  private last: Buffer | undefined = undefined

  constructor(source: AnswerSource) {
    const { reply, head } = source
    this.source = source
    this.remaining = isBodyless(reply.request.method, head) ? 0 : head.length
    // Where a body follows, it may be malformed from its first byte, and then an error can still be sent.
    if (this.remaining === 0) this.begin()
  }

  write(chunk: Buffer): boolean {
    if (!this.begun) this.begin()
    const { raw } = this.source.reply
    if (this.remaining === chunk.length) {
      this.ended = true
      this.last = chunk
      completeAfterTurn(this)
      return true
    }
    this.remaining -= chunk.length
    if (raw.write(chunk)) return true
    if (!this.draining) {
      this.draining = true
      raw.on('drain', () => this.source.resume())
    }
    return false
  }

  flush(): void {
    if (!this.begun) this.begin()
    flushHead(this.source.reply)
  }

  end(trailers: readonly string[]): void {
    if (this.ended) return
    if (!this.begun) this.begin()
    this.ended = true
    const { reply } = this.source
    if (trailers.length > 0) addTrailers(reply, trailers)
    // What has been written of a body is held back until the end, in this very turn, goes with it.
    if (this.remaining === 0) completeAfterTurn(this)
    else reply.raw.end()
  }

  complete(): void {
    const { last } = this
    const { raw } = this.source.reply
    // Head, body and end leave in one write, for which Node.js joins strings, but not a string and a buffer.
    if (last !== undefined && last.length <= SMALL) raw.end(last.toString('latin1'), 'latin1')
    else raw.end(last)
  }

  fail(): boolean {
    if (!this.begun) return false
    truncate(this.source.reply, this.source.head)
    return true
  }

  private begin(): void {
    const { reply, head, pairs } = this.source
    const all = mergeReplyHeaders(pairs, reply.getHeaders())
    const stream = streamOf(reply.request.raw)
    if (stream === undefined) writeHead(reply.raw, head, all)
    else respond(stream, head, all, this.remaining)
    reply.hijack()
    this.begun = true
  }
}

/**
 * A flat list goes to the socket as it is, names that occur again included. Once headers were set one by one, as
 * inject() does before anybody else, Node keeps only the last of them, so repeated names are set as lists.
 */
export function writeHead(raw: ServerResponse, head: ResponseHead, pairs: string[]): void {
  if (raw.socket instanceof Socket && raw.getHeaderNames().length === 0) {
    raw.writeHead(head.status, head.reason, pairs)
    return
  }
  for (const [name, value] of groupHeaders(pairs)) raw.setHeader(name, value)
  raw.writeHead(head.status, head.reason)
}

/**
 * Past the compatibility layer of Node.js, which would end every response with a frame of its own. Of a body whose
 * length is known, the last frame ends it.
 */
function respond(stream: ServerHttp2Stream, head: ResponseHead, pairs: readonly string[], length: number): void {
  if (stream.closed || stream.destroyed) return
  const fields = { ...toHttp2Fields(pairs), ':status': head.status }
  stream.respond(fields, { endStream: length === 0, waitForTrailers: length < 0 })
}

/** Adds trailers to a response, as its protocol takes them. */
export function addTrailers({ raw, request }: FastifyReply, trailers: readonly string[]): void {
  raw.addTrailers(streamOf(request.raw) === undefined ? toPairs(trailers) : toHttp2Fields(trailers))
}

/** Flat pairs as `[name, value][]`, which is what `addTrailers` of HTTP/1.1 takes. */
function toPairs(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i] ?? '', flat[i + 1] ?? ''])
  return pairs
}
