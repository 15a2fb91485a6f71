/** Something that must happen by a certain time. */
export interface Expiring {
  /** When it expires, in milliseconds of the clock of its Deadlines; Infinity = never. */
  deadline: number
  onDeadline(): void
}

const TICK = 20

/**
 * Deadlines of all exchanges under way, checked together every 20 ms: moving one is the write of a number, where a
 * timer a request would be created, moved with each chunk, and cleared. Deadlines are met within two ticks.
 */
export class Deadlines {
  /** Milliseconds, as of the latest tick: good enough to count from, and free to read. */
  now: number

  private readonly clock: () => number
  private readonly entries = new Set<Expiring>()
  private timer: NodeJS.Timeout | undefined = undefined
  private idleTicks = 0

  constructor(clock: () => number) {
    this.clock = clock
    this.now = clock()
  }

  add(entry: Expiring): void {
    if (this.timer === undefined) {
      this.now = this.clock()
      this.idleTicks = 0
      this.timer = setInterval(() => this.tick(), TICK).unref()
    }
    this.entries.add(entry)
  }

  delete(entry: Expiring): void {
    this.entries.delete(entry)
  }

  /** The time `duration` milliseconds from now; 0 = never. Never early, since `now` may lag by one tick. */
  after(duration: number): number {
    return duration === 0 ? Number.POSITIVE_INFINITY : this.now + TICK + duration
  }

  close(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private tick(): void {
    const late = this.clock() - this.now - TICK
    this.now = this.clock()
    // After a stall of our own, answers may be waiting unread in the sockets: read them first, and judge next tick.
    if (late > TICK) return
    for (const entry of this.entries) {
      if (entry.deadline <= this.now) entry.onDeadline()
    }
    this.idleTicks = this.entries.size === 0 ? this.idleTicks + 1 : 0
    if (this.idleTicks > 50) this.close()
  }
}
