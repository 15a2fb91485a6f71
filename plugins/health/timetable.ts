/** Calls back after so many milliseconds; what it returns cancels that. */
export type Schedule = (callback: () => void, milliseconds: number) => () => void

interface Entry {
  at: number
  readonly callback: () => void
}

/** What is due in less than this is done along with what is due now. */
const COARSENESS = 5

/** Everything that health has to do at some time, with one timer for all of it, and none while there is nothing to do. */
export class Timetable {
  readonly #now: () => number
  readonly #schedule: Schedule
  readonly #entries = new Set<Entry>()
  #cancel: () => void = () => {}
  #armedFor = Number.POSITIVE_INFINITY
  #isStopped = false

  /** @param now a monotonic clock, in milliseconds */
  constructor(now: () => number, schedule: Schedule) {
    this.#now = now
    this.#schedule = schedule
  }

  /** Has something done once, after so many milliseconds; what it returns cancels that. */
  after(milliseconds: number, callback: () => void): () => void {
    if (this.#isStopped) return () => {}
    const entry: Entry = { at: this.#now() + milliseconds, callback }
    this.#entries.add(entry)
    this.#arm(entry.at)
    return () => {
      this.#entries.delete(entry)
      if (this.#entries.size === 0) this.#disarm()
    }
  }

  /** Has something done again and again. */
  every(milliseconds: number, callback: () => void): () => void {
    let cancel = () => {}
    const next = () => {
      cancel = this.after(milliseconds, () => {
        next()
        callback()
      })
    }
    next()
    return () => cancel()
  }

  /** Nothing is done any more. */
  stop(): void {
    this.#isStopped = true
    this.#entries.clear()
    this.#disarm()
  }

  #disarm(): void {
    this.#cancel()
    this.#armedFor = Number.POSITIVE_INFINITY
  }

  #arm(at: number): void {
    if (at >= this.#armedFor) return
    this.#cancel()
    this.#armedFor = at
    this.#cancel = this.#schedule(() => this.#run(), Math.max(0, at - this.#now()))
  }

  #run(): void {
    this.#armedFor = Number.POSITIVE_INFINITY
    const limit = this.#now() + COARSENESS
    const due = [...this.#entries].filter(({ at }) => at <= limit).sort((a, b) => a.at - b.at)
    // One that is due may cancel another.
    for (const entry of due) if (this.#entries.delete(entry)) entry.callback()
    let next = Number.POSITIVE_INFINITY
    for (const { at } of this.#entries) next = Math.min(next, at)
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next)
  }
}
