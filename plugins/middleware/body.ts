import type { Exchange } from './exchange.ts'

/** What a Node.js stream must have for its errors to be heard and its source to be released. */
interface StreamLike {
  pipe(destination: unknown): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  destroy?(error?: Error): unknown
  readonly readableFlowing?: boolean | null
  readonly errored?: Error | null
}

/** Keeps the framing of a response right, and its streams from leaking, while layers change the body. */
export class Body {
  readonly #exchange: Exchange
  /** The body as it was after the latest layer. */
  #payload: unknown = undefined
  #length: unknown = undefined
  #streams: StreamLike[] | undefined = undefined
  /** Answers so far: what fed an earlier one must not touch a later one. */
  #answer = 0

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  /** Begins with the body of an answer, the first one or one that takes the place of an earlier one. */
  begin(payload: unknown): void {
    if (this.#payload !== payload) this.#guard(this.#payload)
    this.#answer++
    this.#payload = payload
    this.#length = this.#exchange.reply.getHeader('content-length')
    this.#exchange.payload = payload ?? null
  }

  /** The stream will not be read at once: an error must not go unheard until then. */
  hold(): void {
    this.#guard(this.#payload)
  }

  /**
   * Takes over what a layer returned, or else put into `exchange.payload`. Says whether that is another body than
   * before. A layer that returns the reply, as a chain of its calls does, has not changed the body.
   */
  settle(returned?: unknown): boolean {
    const { reply } = this.#exchange
    if (returned !== undefined && returned !== reply) this.#exchange.payload = returned
    const payload = this.#exchange.payload ?? null
    const earlier = this.#payload
    if (payload === (earlier ?? null)) return false
    this.#exchange.payload = payload
    this.#payload = payload
    // The length of the old body goes, unless the layer has already put a new one in its place.
    if (this.#length !== undefined && reply.getHeader('content-length') === this.#length) {
      reply.removeHeader('content-length')
    }
    if (!isStream(payload) && reply.hasHeader('transfer-encoding')) reply.removeHeader('transfer-encoding')
    this.#length = reply.getHeader('content-length')
    this.#guard(earlier)
    this.#guard(payload)
    return true
  }

  /** Destroys every stream that was held back or replaced, so that the connections behind them are released. */
  release(): void {
    this.#guard(this.#exchange.payload)
    for (const stream of this.#streams ?? []) stream.destroy?.()
    this.#streams = undefined
  }

  /** The body to send; undefined only if that is what the answer began with and no layer changed it. */
  get payload(): unknown {
    return this.#payload
  }

  /** What went wrong with the body itself, as opposed to the client leaving. */
  get error(): Error | undefined {
    return isStream(this.#payload) ? (this.#payload.errored ?? undefined) : undefined
  }

  #guard(payload: unknown): void {
    if (!isStream(payload)) return
    this.#streams ??= []
    if (this.#streams.includes(payload)) return
    this.#streams.push(payload)
    const answer = this.#answer
    payload.on('error', (error) => {
      if (answer === this.#answer) this.#fail(payload, error)
    })
  }

  // A plain .pipe() does not hand errors on: without this a truncated source would look like a slow one for ever.
  #fail(source: StreamLike, error: Error): void {
    const sink = this.#exchange.payload
    const unread = source.readableFlowing === null
    if (source === sink || unread || !isStream(sink)) return
    sink.destroy?.(error)
  }
}

function isStream(payload: unknown): payload is StreamLike {
  return typeof payload === 'object' && payload !== null && 'pipe' in payload && typeof payload.pipe === 'function'
}
