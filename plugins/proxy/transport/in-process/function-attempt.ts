import { randomUUID } from 'node:crypto'
import { EventTooLargeError } from '../../../errors.ts'
import {
  answerEvent,
  answerFailure,
  type EventAnswer,
  type EventRequest,
  type Events,
  type HttpEvent,
  toHttpEvent
} from '../../../events/index.ts'
import type { BodySink, TransportAttempt, TransportHandler, TransportRequest } from '../types.ts'

const NO_TRAILERS: string[] = []
const EMPTY = Buffer.alloc(0)

/** One request on its way through an event function. The whole body is the event, the whole result the response. */
export class FunctionAttempt implements TransportAttempt, BodySink, EventRequest {
  readonly log: Events['functions']['log']

  private readonly events: Events
  private readonly request: TransportRequest
  /** Undefined once the last call was made. */
  private handler: TransportHandler | undefined
  private chunks: Buffer[] = []
  private bytes = 0
  private id: string | undefined = undefined
  private controller: AbortController | undefined = undefined

  constructor(events: Events, request: TransportRequest, handler: TransportHandler) {
    this.log = events.functions.log
    this.events = events
    this.request = request
    this.handler = handler
  }

  get requestId(): string {
    this.id ??= this.headerOf('x-request-id') ?? randomUUID()
    return this.id
  }

  get contentType(): string | undefined {
    return this.headerOf('content-type')
  }

  get body(): Buffer {
    const [first = EMPTY] = this.chunks
    return this.chunks.length > 1 ? Buffer.concat(this.chunks) : first
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController()
    return this.controller.signal
  }

  start(): void {
    const { body } = this.request
    this.handler?.onSent()
    if (this.handler === undefined) return
    if (body === undefined) this.run()
    else body.start(this)
  }

  resume(): void {}

  abort(): void {
    this.detach()
    this.controller?.abort()
  }

  writeBody(chunk: Buffer): boolean {
    if (this.handler === undefined) return true
    this.handler.onProgress()
    this.bytes += chunk.length
    const { bodyLimit, answerOptions } = this.events
    if (bodyLimit === 0 || this.bytes <= bodyLimit) {
      this.chunks.push(chunk)
      return true
    }
    this.request.body?.stop()
    const error = new EventTooLargeError(bodyLimit)
    this.answer(answerFailure(error, this.request.target.hostname, this, answerOptions.exposeErrors))
    return false
  }

  endBody(): void {
    this.run()
  }

  httpEvent(): HttpEvent {
    const { method, path, headers } = this.request
    const sourceIp = this.headerOf('x-forwarded-for')?.split(',')[0]?.trim() ?? ''
    return toHttpEvent({ method, url: path, headers, body: this.body, sourceIp, requestId: this.requestId })
  }

  private run(): void {
    this.handler?.onRequestEnd()
    if (this.handler === undefined) return
    const { functions, answerOptions } = this.events
    void answerEvent(functions, this.request.target.hostname, this, answerOptions).then((answer) => this.answer(answer))
  }

  private answer({ status, headers, body }: EventAnswer): void {
    const { handler, request } = this
    if (handler === undefined) return
    try {
      handler.onHead({ status, reason: '', headers: [...headers], length: body.length })
      // It may have been aborted meanwhile, by a response that nobody needs.
      if (body.length > 0 && request.method !== 'HEAD') this.handler?.onData(body)
    } catch (error) {
      this.detach()
      handler.onError(error instanceof Error ? error : new Error(String(error)))
      return
    }
    const last = this.handler
    this.detach()
    last?.onEnd(NO_TRAILERS)
  }

  private detach(): void {
    this.handler = undefined
    this.request.body?.stop()
  }

  private headerOf(name: string): string | undefined {
    const { headers } = this.request
    for (let i = 0; i < headers.length; i += 2) {
      const spelt = headers[i] ?? ''
      if (spelt.length === name.length && spelt.toLowerCase() === name) return headers[i + 1]
    }
    return undefined
  }
}
