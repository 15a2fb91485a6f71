import { ClientClosedError, NextAfterAnswerError, NextCalledTwiceError, NotAnsweredError } from '../errors.ts'
import { Body } from './body.ts'
import { isComplete, whenClosed } from './closed.ts'
import type { Exchange } from './exchange.ts'
import { Frame } from './frame.ts'
import type { CompiledLayer } from './layers.ts'
import type { Onion } from './onion.ts'
import { isPending, report, toError } from './outcome.ts'
import type { EnterDone, LayerFunction, LeaveDone } from './types.ts'

/**
 * The way of one exchange through an onion.
 *
 * At most one layer is at work at a time. What it does next is told by `#depth` and, for function layers, by
 * `#current`; whatever makes a pending step obsolete (an answer, the end) raises `#turn` and clears `#current`.
 */
export class Passage {
  readonly #onion: Onion
  readonly #exchange: Exchange
  /** How many layers the exchange is inside of; the next one to enter, one past the next one to leave. */
  #depth = 0
  /** How many layers ever let the exchange in. */
  #entered = 0
  /** The function layers that the exchange met, by their index in the onion. */
  #frames: Frame[] | undefined = undefined
  /** The function layer that is at work, so that its end drives what follows. */
  #current: Frame | undefined = undefined
  #turn = 0
  #answered = false
  #ended = false
  #watched = false
  #body: Body | undefined = undefined
  #gone: Error | undefined = undefined
  #enterDone: EnterDone | undefined = undefined
  #leaveDone: LeaveDone | undefined = undefined

  constructor(onion: Onion, exchange: Exchange) {
    this.#onion = onion
    this.#exchange = exchange
  }

  /** Whether an answer has begun its way out. */
  get answered(): boolean {
    return this.#answered
  }

  enter(done: EnterDone): void {
    this.#enterDone = done
    if (this.#onion.hasEnd) this.#watch()
    if (!this.#ended) this.#walkIn()
  }

  leave(payload: unknown, done: LeaveDone): void {
    this.#turn++
    this.#answered = true
    if (this.#ended || !this.#onion.hasResponseHalf) {
      done(null, payload)
      return
    }
    // A layer that answers after an error inside it is where the answer begins, however deep the exchange had been.
    if (this.#current !== undefined) this.#depth = this.#current.index
    this.#current = undefined
    this.#leaveDone = done
    this.#body ??= new Body(this.#exchange)
    this.#body.begin(payload)
    this.#walkOut(this.#body)
  }

  #walkIn(): void {
    const { layers } = this.#onion
    for (let layer = layers[this.#depth]; layer !== undefined; layer = layers[this.#depth]) {
      if (layer.handle !== undefined) {
        this.#open(layer.handle)
        return
      }
      if (layer.onRequest !== undefined && !this.#request(layer.onRequest)) return
      this.#entered = ++this.#depth
    }
    const done = this.#enterDone
    this.#enterDone = undefined
    done?.()
  }

  /** Runs the request half of a pair. Says whether to go on at once. */
  #request(onRequest: NonNullable<CompiledLayer['onRequest']>): boolean {
    const turn = this.#turn
    try {
      const result = onRequest(this.#exchange)
      if (!isPending(result, this.#exchange)) return turn === this.#turn && !this.#exchange.reply.sent
      this.#await(turn, result, () => {
        if (this.#exchange.reply.sent) return
        this.#entered = ++this.#depth
        this.#walkIn()
      })
    } catch (error) {
      this.#interrupted(turn, error)
    }
    return false
  }

  /** Runs a function layer up to its first `await`. */
  #open(handle: LayerFunction): void {
    const frame = new Frame(this.#depth)
    this.#frames ??= []
    this.#frames.push(frame)
    this.#current = frame
    let result: unknown
    try {
      result = handle(this.#exchange, () => this.#next(frame))
    } catch (error) {
      this.#close(frame, toError(error))
      return
    }
    if (!isPending(result, this.#exchange)) this.#close(frame, undefined)
    else
      result.then(
        () => this.#close(frame, undefined),
        (error) => this.#close(frame, toError(error))
      )
  }

  #next(frame: Frame): Promise<void> {
    if (frame.called) return frame.refuse(new NextCalledTwiceError())
    frame.called = true
    if (this.#gone !== undefined) return frame.refuse(this.#gone)
    if (this.#current !== frame) return frame.refuse(new NextAfterAnswerError())
    const promise = frame.wait()
    this.#current = undefined
    this.#entered = ++this.#depth
    this.#walkIn()
    return promise
  }

  /** A function layer has returned or thrown. */
  #close(frame: Frame, reason: Error | undefined): void {
    const error = reason ?? frame.fault
    const driving = this.#current === frame
    frame.waiting = false
    if (driving) this.#current = undefined
    if (this.#ended) {
      if (error !== undefined && error !== this.#gone) report(this.#exchange, error)
      this.#body?.release()
      if (driving) this.#abandon(frame.index)
    } else if (!driving) {
      // It had answered, or it did not await next().
      if (error === undefined) return
      if (this.#exchange.answered) report(this.#exchange, error)
      else this.#fail(error)
    } else if (error !== undefined) {
      this.#throwTo(frame.index, error)
    } else if (frame.called && (this.#answered || !frame.rejected)) {
      this.#depth = frame.index
      if (this.#body !== undefined) this.#walkOnOut(this.#body)
    } else if (!this.#exchange.reply.sent) {
      this.#throwTo(frame.index, new NotAnsweredError())
    }
  }

  #walkOut(body: Body): void {
    const { layers } = this.#onion
    while (this.#depth > 0) {
      const index = --this.#depth
      const layer = layers[index]
      if (layer?.handle !== undefined) {
        if (this.#resume(index, body)) return
      } else if (layer?.onSend !== undefined && !this.#send(layer.onSend, body)) return
    }
    const done = this.#leaveDone
    this.#leaveDone = undefined
    try {
      done?.(null, body.payload)
    } catch (error) {
      // As in Fastify's own hook runner: what it throws for a body it cannot send becomes the answer.
      done?.(toError(error))
    }
  }

  #walkOnOut(body: Body, returned?: unknown): void {
    const turn = this.#turn
    if (body.settle(returned)) this.#watch()
    if (turn === this.#turn) this.#walkOut(body)
  }

  /** Lets a function layer see the response. Says whether it had been waiting for it. */
  #resume(index: number, body: Body): boolean {
    const frame = this.#frames?.find((frame) => frame.index === index)
    if (frame?.waiting !== true) return false
    body.hold()
    this.#current = frame
    frame.resume()
    return true
  }

  /** Runs the response half of a pair. Says whether to go on at once. */
  #send(onSend: NonNullable<CompiledLayer['onSend']>, body: Body): boolean {
    const turn = this.#turn
    try {
      const result = onSend(this.#exchange, this.#exchange.payload)
      if (!isPending(result, this.#exchange)) {
        if (turn === this.#turn && body.settle(result)) this.#watch()
        return turn === this.#turn
      }
      body.hold()
      this.#await(turn, result, (payload) => this.#walkOnOut(body, payload))
    } catch (error) {
      this.#interrupted(turn, error)
    }
    return false
  }

  /** Goes on with what a pair's half resolves to, unless the exchange has moved on without it. */
  #await(turn: number, result: PromiseLike<unknown>, goOn: (value: unknown) => void): void {
    result.then(
      (value) => {
        if (turn === this.#turn) goOn(value)
      },
      (error) => this.#interrupted(turn, error)
    )
  }

  #interrupted(turn: number, reason: unknown): void {
    const error = toError(reason)
    if (turn === this.#turn) this.#throwTo(this.#depth, error)
    else report(this.#exchange, error)
  }

  /** Hands an error to the nearest function layer outside of `index` that waits, or to Fastify. */
  #throwTo(index: number, error: Error): void {
    const frame = this.#waiting(index)
    if (frame === undefined) {
      this.#fail(error)
      return
    }
    this.#current = frame
    frame.interrupt(error)
  }

  #fail(error: Error): void {
    const done = this.#answered ? this.#leaveDone : this.#enterDone
    this.#enterDone = undefined
    this.#leaveDone = undefined
    this.#exchange.error ??= error
    if (done !== undefined) done(error)
    else this.#exchange.reply.send(error)
  }

  #waiting(index: number): Frame | undefined {
    return this.#frames?.findLast((frame) => frame.waiting && frame.index < index)
  }

  #watch(): void {
    if (this.#watched) return
    this.#watched = true
    const { request, reply } = this.#exchange
    whenClosed(request.raw, reply.raw, () => this.#end())
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#turn++
    this.#current = undefined
    this.#enterDone = undefined
    this.#leaveDone = undefined
    const { request, reply } = this.#exchange
    if (!isComplete(request.raw, reply.raw)) {
      this.#gone = new ClientClosedError()
      this.#exchange.error ??= this.#body?.error ?? this.#gone
    }
    this.#body?.release()
    this.#onion.finish(this.#exchange, this.#entered)
    this.#abandon(this.#entered)
  }

  /** The exchange is over: lets the layers that still wait run to their end, the innermost first. */
  #abandon(index: number): void {
    const frame = this.#waiting(index)
    if (frame === undefined) return
    this.#current = frame
    if (this.#gone === undefined) frame.resume()
    else frame.interrupt(this.#gone)
  }
}
