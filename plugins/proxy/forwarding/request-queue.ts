/** A request that waits for a target to have room. */
export interface Waiter {
  /** Takes a target if there is one now. False when there still is none. */
  tryStart(): boolean
  /** Targets it will not take; others may then be served before it. */
  readonly tried: readonly unknown[] | undefined
}

/** Requests of one upstream that wait while all its targets are at `maxConnections`; first come, first served. */
export class RequestQueue {
  /** Milliseconds that a request may wait; 0 = any time. */
  readonly timeout: number

  private readonly size: number
  private readonly waiters = new Set<Waiter>()

  /** @param options `size`: most requests that wait; 0 = none may */
  constructor({ size, timeout }: { readonly size: number; readonly timeout: number }) {
    this.size = size
    this.timeout = timeout
  }

  get length(): number {
    return this.waiters.size
  }

  /** Whether requests may wait here at all. */
  get enabled(): boolean {
    return this.size > 0
  }

  /** False when the queue is full. */
  add(waiter: Waiter): boolean {
    if (this.waiters.size >= this.size) return false
    this.waiters.add(waiter)
    return true
  }

  delete(waiter: Waiter): void {
    this.waiters.delete(waiter)
  }

  /** A place at a target may have become free. */
  wake(): void {
    for (const waiter of this.waiters) {
      if (waiter.tryStart()) this.waiters.delete(waiter)
      // Who waits for any target at all cannot be helped now, and nor can those behind.
      else if (waiter.tried === undefined || waiter.tried.length === 0) return
    }
  }
}
