import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http'
import { type ClientHttp2Stream, constants } from 'node:http2'
import { BadResponseError } from '../../../errors.ts'
import type { ResponseHead } from '../types.ts'

/** Told what the reader finds. */
export interface ResponseEvents {
  onInformation(status: number, headers: string[]): void
  onHead(head: ResponseHead): void
  /** Returns `false` to have no more until `resume()`. */
  onBody(chunk: Buffer): boolean
  /** The response is complete, and all of it was handed on. */
  onMessageEnd(trailers: string[]): void
  /** The response cannot be forwarded. */
  onFault(error: Error): void
}

const MAX_HEAD = 64 * 1024
const MAX_INFORMATION = 32
const NONE: string[] = []

/**
 * Reads one response from a stream, and stops at the first thing that does not fit.
 *
 * Node.js ends a stream in the same way whether the target ended it, reset it with NO_ERROR or CANCEL, or vanished. Only
 * at `push(null)` do they differ: when END_STREAM arrives, the stream is not closed yet.
 */
export class ResponseReader {
  /** The response has begun. */
  answered = false

  private readonly events: ResponseEvents
  private readonly method: string
  private readonly stream: ClientHttp2Stream
  private informations = 0
  private trailers = NONE
  private paused = false
  private stopped = false
  /** END_STREAM has arrived. */
  private complete = false
  /** Everything has left the stream. */
  private drained = false
  /** What arrived while paused of a response that is complete. */
  private readonly backlog: Buffer[] = []

  constructor(events: ResponseEvents, method: string, stream: ClientHttp2Stream) {
    this.events = events
    this.method = method
    this.stream = stream
    const { push } = stream
    stream.push = (chunk, encoding) => {
      const more = push.call(stream, chunk, encoding)
      if (chunk === null) this.onPushEnd()
      return more
    }
    // Documented, but missing from the types: the flat list of names and values.
    stream.on('headers', (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => this.onInformation(raw))
    stream.on('response', (headers: IncomingHttpHeaders, flags: number, raw: string[]) => {
      this.onResponse(headers['content-length'], flags, raw)
    })
    stream.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => this.onTrailers(raw))
    stream.on('end', () => this.onStreamEnd())
  }

  /** The stream is gone. False when the response is not complete; what is left of a complete one is still handed on. */
  close(): boolean {
    if (!this.complete || (!this.drained && this.stream.readableLength > 0)) return false
    if (!this.drained) this.onStreamEnd()
    return true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.complete) process.nextTick(() => this.handOn())
    else this.stream.resume()
  }

  /** Nothing more is handed on. */
  stop(): void {
    this.stopped = true
    this.backlog.length = 0
  }

  private onInformation(raw: string[]): void {
    if (this.stopped) return
    const status = Number(raw[1])
    if (this.answered || !(status >= 100 && status < 200) || status === 101) this.fault('misplaced header section')
    else if (++this.informations > MAX_INFORMATION) this.fault('too many informational responses')
    else this.events.onInformation(status, raw.slice(2))
  }

  private onResponse(contentLength: string | undefined, flags: number, raw: string[]): void {
    if (this.stopped) return
    const status = Number(raw[1])
    if (this.answered || !(status >= 200)) {
      this.fault('misplaced header section')
      return
    }
    if (isTooLarge(raw)) {
      this.fault('head too large')
      return
    }
    this.answered = true
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    const bodyless = ended || this.method === 'HEAD' || status === 204 || status === 304
    // Node.js holds the body against its length (RFC 9113, section 8.1.1).
    const length = bodyless ? 0 : contentLength === undefined ? -1 : Number(contentLength)
    this.events.onHead({ status, reason: STATUS_CODES[status] ?? '', headers: raw.slice(2), length })
    this.stream.on('data', (chunk: Buffer) => this.onData(chunk))
  }

  private onTrailers(raw: string[]): void {
    if (this.stopped) return
    if (isTooLarge(raw)) this.fault('trailers too large')
    else this.trailers = raw
  }

  private onData(chunk: Buffer): void {
    if (this.stopped) return
    if (this.paused) this.backlog.push(chunk)
    else if (!this.events.onBody(chunk)) this.pause()
  }

  private pause(): void {
    this.paused = true
    if (!this.complete) this.stream.pause()
  }

  private onPushEnd(): void {
    const { stream } = this
    if (this.complete || this.stopped) return
    if (stream.closed) {
      // Without an error code, Node.js would wait for its last byte to be read, which may be never.
      process.nextTick(() => stream.destroy())
      return
    }
    this.complete = true
    // What is left in the stream would go down with the session, whose end may be near.
    if (this.answered) while (stream.read() !== null);
  }

  private onStreamEnd(): void {
    if (this.stopped || !this.complete) return
    this.drained = true
    if (!this.paused) this.handOn()
  }

  private handOn(): void {
    while (!this.paused && !this.stopped) {
      const chunk = this.backlog.shift()
      if (chunk === undefined) break
      if (!this.events.onBody(chunk)) this.paused = true
    }
    if (!this.stopped && !this.paused && this.drained) this.events.onMessageEnd(this.trailers)
  }

  private fault(reason: string): void {
    this.events.onFault(new BadResponseError(reason))
  }
}

/** Node.js bounds the header sections, too, but by rules that depend on when the target acknowledges our settings. */
function isTooLarge(raw: readonly string[]): boolean {
  let size = 0
  for (const text of raw) size += text.length
  return size > MAX_HEAD
}
