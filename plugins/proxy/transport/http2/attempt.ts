import { type ClientHttp2Stream, constants } from 'node:http2'
import { ConnectTimeoutError } from '../../../errors.ts'
import type { BodySink, ResponseHead, TransportAttempt, TransportHandler, TransportRequest } from '../types.ts'
import { ENHANCE_YOUR_CALM, failureOf } from './failures.ts'
import { requestFields, trailerFields } from './request-fields.ts'
import { type ResponseEvents, ResponseReader } from './response-reader.ts'
import type { ReadEndListener, Session } from './session.ts'

/** What an attempt needs of the pool in which it waits for a session. */
export interface AttemptOwner {
  /** The attempt waits no longer. */
  forget(attempt: Http2Attempt): void
}

/** Milliseconds to wait for a target's 100 (Continue): not all send it, so the body follows in any case. */
const CONTINUE_LIMIT = 1_000

/** One request: waits for a session, and is then one stream on it. */
export class Http2Attempt implements TransportAttempt, BodySink, ResponseEvents, ReadEndListener {
  readonly request: TransportRequest

  private readonly owner: AttemptOwner
  /** Undefined once the last call was made. */
  private handler: TransportHandler | undefined
  /** Runs while a session is waited for, then while 100 (Continue) is. */
  private timer: NodeJS.Timeout | undefined = undefined
  private session: Session | undefined = undefined
  private stream: ClientHttp2Stream | undefined = undefined
  private reader: ResponseReader | undefined = undefined
  private hasBody = false
  private trailers: readonly string[] = []
  /** What the session had received, and whether it had rested, when the stream was opened. */
  private bytesBefore = 0
  private rested = false
  private streamError: Error | undefined = undefined
  private notified = false

  constructor(owner: AttemptOwner, request: TransportRequest, handler: TransportHandler) {
    this.owner = owner
    this.request = request
    this.handler = handler
  }

  /** The last call was made, or none is to follow. */
  private get over(): boolean {
    return this.handler === undefined
  }

  /** There is no session yet that would take the request. */
  wait(): void {
    const { connectTimeout } = this.request
    if (connectTimeout === 0) return
    this.timer = setTimeout(() => {
      this.owner.forget(this)
      this.fail(new ConnectTimeoutError(connectTimeout))
    }, connectTimeout)
  }

  begin(session: Session): void {
    const { request, handler } = this
    if (handler === undefined) return
    clearTimeout(this.timer)
    this.session = session
    this.bytesBefore = session.bytesRead
    this.rested = session.rested
    this.hasBody = request.body !== undefined && request.body.length !== 0
    handler.onSent()
    if (this.over) return
    let stream: ClientHttp2Stream
    try {
      stream = session.request(requestFields(request), !this.hasBody)
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)))
      return
    }
    this.stream = stream
    this.reader = new ResponseReader(this, request.method, stream)
    // Told when the stream is closed; without a listener it would end the process.
    stream.on('error', (error) => {
      this.streamError = error
    })
    stream.on('close', () => this.onClose(session, stream))
    if (this.hasBody) {
      stream.on('drain', () => this.onDrain())
      stream.on('wantTrailers', () => this.sendTrailers())
    }
    if (request.body === undefined) handler.onRequestEnd()
    else if (request.expectContinue && this.hasBody) this.timer = setTimeout(() => this.sendBody(), CONTINUE_LIMIT)
    else request.body.start(this)
  }

  resume(): void {
    this.reader?.resume()
  }

  abort(): void {
    if (this.handler === undefined) return
    if (this.session === undefined) this.owner.forget(this)
    else if (this.session.bytesRead === this.bytesBefore) this.session.suspect()
    this.detach()
    this.reset()
  }

  /** The attempt is over before its response is complete. */
  fail(error: Error): void {
    const { handler } = this
    this.detach()
    handler?.onError(error)
  }

  writeBody(chunk: Buffer): boolean {
    const { stream, handler } = this
    if (stream === undefined || handler === undefined || chunk.length === 0) return true
    // Closed by the target; what its answer is will be known when it was read.
    if (stream.closed || stream.destroyed) return false
    handler.onProgress()
    return stream.write(chunk)
  }

  endBody(trailers: readonly string[]): void {
    if (this.handler === undefined) return
    if (this.hasBody) {
      this.trailers = trailers
      this.stream?.end()
    }
    this.handler.onRequestEnd()
  }

  onInformation(status: number, headers: string[]): void {
    if (status === 100) this.sendBody()
    this.handler?.onInformation(status, headers)
  }

  onHead(head: ResponseHead): void {
    // The target has decided without the body.
    clearTimeout(this.timer)
    this.timer = undefined
    this.handler?.onHead(head)
    this.notifyReadEnd()
  }

  onBody(chunk: Buffer): boolean {
    const more = this.handler?.onData(chunk) ?? true
    this.notifyReadEnd()
    return more
  }

  onMessageEnd(trailers: string[]): void {
    const { handler, stream } = this
    this.detach()
    // An answer that overtakes its request leaves the rest of the body with nowhere to go (RFC 9113, section 8.1).
    if (this.hasBody && stream?.writableFinished === false) this.reset()
    handler?.onEnd(trailers)
  }

  onFault(error: Error): void {
    this.reset()
    this.fail(error)
  }

  onReadEnd(): void {
    this.notified = false
    this.handler?.onReadEnd()
  }

  private notifyReadEnd(): void {
    if (this.notified || this.handler === undefined) return
    this.notified = true
    this.session?.notifyReadEnd(this)
  }

  /** Sends the body that was held back, unless that was done before. */
  private sendBody(): void {
    if (this.timer === undefined) return
    clearTimeout(this.timer)
    this.timer = undefined
    this.request.body?.start(this)
  }

  private sendTrailers(): void {
    const { stream } = this
    if (this.handler === undefined || stream === undefined) return
    try {
      stream.sendTrailers(trailerFields(this.trailers))
    } catch (error) {
      this.reset()
      this.fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  private onDrain(): void {
    if (this.handler === undefined) return
    this.handler.onProgress()
    this.request.body?.resume()
  }

  private onClose(session: Session, stream: ClientHttp2Stream): void {
    const { id, rstCode: code } = stream
    const answered = this.reader?.answered === true
    session.release(code === ENHANCE_YOUR_CALM && !answered)
    if (this.handler === undefined || this.reader?.close() === true) return
    const unanswered = this.rested && session.bytesRead === this.bytesBefore
    this.fail(failureOf(session, { id, code, error: this.streamError, unanswered, answered }))
  }

  private reset(): void {
    const { stream } = this
    if (stream !== undefined) setImmediate(resetStream, stream)
  }

  private detach(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.request.body?.stop()
    this.reader?.stop()
    if (this.handler !== undefined && this.stream !== undefined) this.session?.settle()
    this.handler = undefined
  }
}

/**
 * Resets a stream that nobody needs any more. Never to be called while Node.js hands on what it reads: it then forgets
 * to send the reset, or stumbles over it.
 */
function resetStream(stream: ClientHttp2Stream): void {
  // One that the target closed stays until it is read to its end, and nobody will do that.
  if (stream.closed) stream.destroy()
  else stream.close(constants.NGHTTP2_CANCEL)
}
