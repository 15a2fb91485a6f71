import type { Next } from './types.ts'

/** One function layer in one exchange: where it stands, and the promise its `next()` gave out. */
export class Frame {
  readonly index: number
  /** Whether the layer called `next()`. */
  called = false
  /** Whether `next()` has yet to resolve or reject. */
  waiting = false
  /** Whether `next()` rejected. */
  rejected = false
  /** A misuse of `next()`, reported even if the layer did not await the promise that carried it. */
  fault: Error | undefined = undefined
  #resolve: () => void = noop
  #reject: (reason: unknown) => void = noop

  constructor(index: number) {
    this.index = index
  }

  wait(): Promise<void> {
    this.waiting = true
    const promise = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A layer that does not await next() must not bring the process down.
    promise.catch(noop)
    return promise
  }

  /** Lets the layer's response half run. */
  resume(): void {
    this.waiting = false
    this.#resolve()
  }

  /** Lets the layer's `catch` and `finally` run. */
  interrupt(reason: unknown): void {
    this.waiting = false
    this.rejected = true
    this.#reject(reason)
  }

  refuse(fault: Error): ReturnType<Next> {
    this.fault = fault
    const promise = Promise.reject(fault)
    promise.catch(noop)
    return promise
  }
}

function noop(): void {}
