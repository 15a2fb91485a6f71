import type { Jobs } from './jobs.ts'

const BEATS = 4

/** Lets the main thread show that its event loop turns, from now on. */
export function beat(heartbeat: SharedArrayBuffer, blockedAfter: number): NodeJS.Timeout {
  const count = new Int32Array(heartbeat)
  Atomics.add(count, 0, 1)
  return setInterval(() => Atomics.add(count, 0, 1), blockedAfter / BEATS).unref()
}

/**
 * Watches from the worker whether the main thread's event loop turns, and has a stack taken when it does not for longer
 * than the limit, once each time. Time in which the whole process stood still does not count, nor does that of artifacts.
 */
export class Watchdog {
  readonly #count: Int32Array
  readonly #blockedAfter: number
  readonly #now: () => number
  readonly #jobs: Pick<Jobs, 'busy' | 'take'>
  #beat = 0
  #since: number
  #checked: number
  #told = false

  constructor(
    heartbeat: SharedArrayBuffer,
    blockedAfter: number,
    jobs: Pick<Jobs, 'busy' | 'take'>,
    now: () => number = () => performance.now()
  ) {
    this.#count = new Int32Array(heartbeat)
    this.#blockedAfter = blockedAfter
    this.#jobs = jobs
    this.#now = now
    this.#since = now()
    this.#checked = this.#since
  }

  start(): void {
    setInterval(() => this.check(), this.#blockedAfter / BEATS)
  }

  check(): void {
    const now = this.#now()
    const step = now - this.#checked
    this.#checked = now
    const beat = Atomics.load(this.#count, 0)
    // Before the first beat, the application still starts.
    if (beat !== this.#beat) this.#told = false
    if (beat !== this.#beat || beat === 0 || this.#jobs.busy) {
      this.#beat = beat
      this.#since = now
      return
    }
    if (step > this.#blockedAfter) this.#since += step
    if (this.#told || now - this.#since < this.#blockedAfter) return
    this.#told = true
    // What stands in the way (an artifact just taken, a full disk) stands in the way of another try, too.
    this.#jobs.take('stack', 'blocked').catch(() => {})
  }
}
