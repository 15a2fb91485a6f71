import { Readable, type Writable } from 'node:stream'
import { streamOf } from '../../middleware/index.ts'
import { groupHeaders } from '../forwarding/response-headers.ts'
import { type Answer, type AnswerSource, flushHead, isBodyless, truncate } from './answer.ts'
import { type Completable, completeAfterTurn } from './completion.ts'
import { addTrailers } from './direct-answer.ts'
import { resetOnDestroy, toHttp2Fields } from './http2-response.ts'

/** Bodies up to this many bytes are handed to hooks in one piece. */
const WHOLE_BODY = 64 * 1024

/**
 * Sends through Fastify, so that onSend hooks see the response and may replace its body: a small complete body as one
 * Buffer, a larger or slower one as a stream.
 */
export class HookedAnswer implements Answer, Completable {
  begun = false

  private readonly source: AnswerSource
  private readonly bodyless: boolean
  private readonly chunks: Buffer[] = []
  private readonly whole: boolean
  private body: TargetBody | undefined = undefined

  constructor(source: AnswerSource) {
    const { reply, head } = source
    this.source = source
    this.bodyless = isBodyless(reply.request.method, head)
    this.whole = head.length > 0 && head.length <= WHOLE_BODY
  }

  write(chunk: Buffer): boolean {
    if (this.body !== undefined) return this.body.push(chunk)
    this.chunks.push(chunk)
    return true
  }

  flush(): void {
    if (!this.whole && !this.begun) this.open()
  }

  end(trailers: readonly string[]): void {
    const { reply } = this.source
    if (this.bodyless) {
      completeAfterTurn(this)
      return
    }
    // Fastify would invent a type for a Buffer that has none.
    const typed = this.source.pairs.some((item, i) => i % 2 === 0 && item.toLowerCase() === 'content-type')
    if (!this.begun && typed && trailers.length === 0) {
      completeAfterTurn(this)
      return
    }
    if (!this.begun) this.open()
    if (trailers.length > 0 && !reply.raw.headersSent) reply.removeHeader('content-length')
    if (trailers.length > 0) addTrailers(reply, trailers)
    this.body?.push(null)
  }

  complete(): void {
    const { chunks } = this
    // Fastify would serialize null, where there is no content type.
    if (this.bodyless) this.send(undefined)
    else this.send(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))
  }

  fail(error: Error): boolean {
    if (!this.begun) return false
    const { reply, head } = this.source
    if (reply.raw.headersSent) truncate(reply, head)
    this.body?.destroy(error)
    return true
  }

  private open(): void {
    this.body = new TargetBody(this.source)
    for (const chunk of this.chunks) this.body.push(chunk)
    this.send(this.body)
  }

  private send(payload: unknown): void {
    const { reply, head, pairs } = this.source
    this.begun = true
    const stream = streamOf(reply.request.raw)
    if (stream !== undefined) resetOnDestroy(reply.raw, stream)
    for (const [name, value] of stream === undefined ? groupHeaders(pairs) : Object.entries(toHttp2Fields(pairs))) {
      // The length follows from the body that hooks leave, see TargetBody.pipe.
      if (name === 'content-length' && !this.bodyless) continue
      reply.header(name, name === 'vary' ? mergeVary(reply.getHeader('vary'), value) : value)
    }
    // Not reply.code(): it refuses what targets are free to send, such as 999.
    reply.raw.statusCode = head.status
    if (head.reason !== '' && stream === undefined) reply.raw.statusMessage = head.reason
    reply.send(payload)
  }
}

function mergeVary(own: unknown, theirs: string | string[]): string {
  const list = Array.isArray(theirs) ? theirs.join(', ') : theirs
  return own === undefined ? list : `${own}, ${list}`
}

/** The body of a target's response as a stream. */
class TargetBody extends Readable {
  private readonly source: AnswerSource
  private readonly destinations: Writable[] = []
  private complete = false

  constructor(source: AnswerSource) {
    super()
    this.source = source
    // A hook that pipes listens to no errors; nobody listening would end the process.
    this.on('error', () => {})
  }

  override _read(): void {
    this.source.resume()
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk === null) this.complete = true
    return super.push(chunk)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.complete) this.source.cancel()
    // A plain pipe() does not carry errors; without them its destination would wait for ever.
    if (error !== null) for (const destination of this.destinations) destination.destroy(error)
    callback(error)
  }

  /** Called by Fastify with the raw response when no hook has put another body in place of this one. */
  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    const { reply, head } = this.source
    const { raw } = reply
    if (destination === (raw as unknown)) {
      if (head.length > 0 && !raw.headersSent && !reply.hasHeader('transfer-encoding')) {
        raw.setHeader('content-length', head.length)
      }
      flushHead(reply)
    } else if (isDestroyable(destination)) {
      this.destinations.push(destination)
      destination.on('error', () => {})
    }
    return super.pipe(destination, options)
  }
}

function isDestroyable(stream: unknown): stream is Writable {
  return typeof stream === 'object' && stream !== null && 'destroy' in stream && typeof stream.destroy === 'function'
}
