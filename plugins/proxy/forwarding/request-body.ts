import { IncomingMessage } from 'node:http'
import { constants, Http2ServerRequest, type ServerHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import { BodyTooLargeError, ClientClosedError } from '../../errors.ts'
import { streamOf } from '../../middleware/index.ts'
import type { BodySink, BodySource } from '../transport/index.ts'
import { safeTrailers } from './trailers.ts'

export interface RequestBodyOptions {
  /** Bytes announced by the client, or -1. */
  readonly length: number
  /** Bytes allowed; 0 = no limit. */
  readonly limit: number
  /** Bytes kept for a second attempt; a longer body can be sent only once. */
  readonly keep: number
  /** The client sends nothing before it is told to by 100 (Continue). */
  readonly awaited: boolean
  /** The body cannot be had whole: too large, or the client left while sending it. */
  readonly onFault: (error: Error) => void
}

/** Sees a request body pass; it can neither change nor hold it. */
export interface BodyObserver {
  onBodyData(chunk: Buffer): void
  onBodyEnd(trailers: readonly string[]): void
  /** The body cannot be had whole. */
  onBodyLost(): void
}

/**
 * The body of a request on its way to targets, one after the other. It streams with the pace of its target; what has
 * passed is kept up to a bound, and replayed to the next target byte for byte.
 */
export class RequestBody implements BodySource {
  readonly length: number
  /** Bytes read from the client. */
  bytes = 0
  /** To be set before the body is read. */
  observer: BodyObserver | undefined = undefined

  private readonly source: Readable
  private readonly options: RequestBodyOptions
  private sink: BodySink | undefined = undefined
  private kept: Buffer[] | undefined = []
  private listening = false
  private ended = false
  private failed = false

  constructor(source: Readable, options: RequestBodyOptions) {
    this.source = source
    this.options = options
    this.length = options.length
  }

  /** Whether another target can get the whole body. */
  get replayable(): boolean {
    return this.kept !== undefined && !this.failed
  }

  /** More is to come of it, and all may be kept. */
  get pending(): boolean {
    return this.replayable && !this.ended
  }

  start(sink: BodySink): void {
    this.sink = sink
    let more = true
    for (const chunk of this.kept ?? []) more = sink.writeBody(chunk)
    if (this.ended) {
      this.finish()
      return
    }
    if (!this.listening) this.listen()
    if (more) this.source.resume()
  }

  resume(): void {
    if (this.sink !== undefined) this.source.resume()
  }

  stop(): void {
    if (this.sink === undefined) return
    this.sink = undefined
    if (!this.ended) this.source.pause()
  }

  /** Lets what the client still sends run dry, once nobody will want it. */
  discard(): void {
    this.sink = undefined
    this.kept = undefined
    // A client that waits for 100 (Continue) has sent nothing yet, and reading would be the word for it to begin.
    if (!this.options.awaited || this.listening) this.source.resume()
    const stream = streamOf(this.source)
    if (stream !== undefined && !this.ended) stopAfterAnswer(stream)
  }

  /** The same body for a second attempt beside the first; undefined unless all of it has been read and kept. */
  copy(): BodySource | undefined {
    const { kept, length } = this
    if (!this.ended || kept === undefined) return undefined
    return {
      length,
      start: (sink) => {
        for (const chunk of kept) sink.writeBody(chunk)
        sink.endBody(this.trailers())
      },
      resume: () => {},
      stop: () => {}
    }
  }

  private listen(): void {
    this.listening = true
    this.source.on('data', (chunk: Buffer) => this.onData(chunk))
    this.source.on('end', () => {
      // A stream that is reset ends its request as if that were complete.
      if (streamOf(this.source)?.closed === true) {
        this.fault(new ClientClosedError())
        return
      }
      this.ended = true
      this.finish()
      this.observer?.onBodyEnd(this.trailers())
    })
    this.source.on('error', (error) => this.fault(error))
    this.source.on('close', () => {
      if (!this.ended) this.fault(new ClientClosedError())
    })
  }

  private onData(chunk: Buffer): void {
    this.bytes += chunk.length
    const { limit, keep } = this.options
    if (limit > 0 && this.bytes > limit) {
      this.fault(new BodyTooLargeError(limit))
      return
    }
    if (this.bytes <= keep) this.kept?.push(chunk)
    else this.kept = undefined
    if (this.sink?.writeBody(chunk) === false) this.source.pause()
    this.observer?.onBodyData(chunk)
  }

  private finish(): void {
    this.sink?.endBody(this.trailers())
  }

  private trailers(): readonly string[] {
    const { source } = this
    const isMessage = source instanceof IncomingMessage || source instanceof Http2ServerRequest
    return isMessage ? safeTrailers(source.rawTrailers) : []
  }

  private fault(error: Error): void {
    if (this.failed) return
    this.failed = true
    this.observer?.onBodyLost()
    this.options.onFault(error)
  }
}

/** Asks the client to send no more, once the answer has left whole (RFC 9113, section 8.1). */
function stopAfterAnswer(stream: ServerHttp2Stream): void {
  stream.once('finish', () => {
    // Trailers, which Fastify's answers have always, if only empty ones, leave two turns later.
    setImmediate(setImmediate, () => {
      if (!stream.closed && stream.state.localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR)
    })
  })
}
