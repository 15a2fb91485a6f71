import type { Target } from '../target.ts'

interface Seat {
  readonly target: Target
  row: Row
  /** Attempts in flight, as of the last time anybody told; -1 while it takes no part. */
  level: number
  /** Index within its level. */
  place: number
}

/**
 * Targets sorted by load, so that one of the least loaded can be drawn without looking at all of them. There is a row for
 * each share, in it a level for each number of attempts in flight; an attempt moves its target up a level, or down.
 */
export class LoadOrder {
  readonly #rows: Row[] = []
  readonly #seats = new Map<Target, Seat>()
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  add(target: Target): void {
    const seat = { target, row: this.#join(target.share), level: -1, place: -1 }
    this.#seats.set(target, seat)
    seat.row.insert(seat, target.inFlight)
  }

  remove(target: Target): void {
    const seat = this.#seats.get(target)
    if (seat === undefined) return
    this.takeOut(target)
    this.#leave(seat.row)
    this.#seats.delete(target)
  }

  /** The share of the target has changed. */
  reweigh(target: Target): void {
    const seat = this.#seats.get(target)
    if (seat === undefined) return
    const isOut = seat.level < 0
    this.takeOut(target)
    this.#leave(seat.row)
    seat.row = this.#join(target.share)
    if (!isOut) seat.row.insert(seat, target.inFlight)
  }

  /** The load of the target has changed. */
  move(target: Target): void {
    const seat = this.#seats.get(target)
    if (seat === undefined || seat.level < 0) return
    seat.row.take(seat)
    seat.row.insert(seat, target.inFlight)
  }

  /** Lets the target take no part until it is put back. */
  takeOut(target: Target): void {
    const seat = this.#seats.get(target)
    if (seat !== undefined && seat.level >= 0) seat.row.take(seat)
  }

  putBack(target: Target): void {
    const seat = this.#seats.get(target)
    if (seat !== undefined && seat.level < 0) seat.row.insert(seat, target.inFlight)
  }

  /** One of the targets with the least load for their weight, the attempt to come included; each as likely as the others. */
  draw(): Target | undefined {
    let best: Row | undefined
    let tied = 0
    for (const row of this.#rows) {
      if (row.size === 0) continue
      const difference = best === undefined ? -1 : row.compare(best)
      if (difference < 0) {
        best = row
        tied = row.least.length
      } else if (difference === 0) {
        tied += row.least.length
      }
    }
    if (best === undefined) return undefined
    let ticket = tied === 1 ? 0 : Math.floor(this.#random() * tied)
    for (const row of this.#rows) {
      if (row.size === 0 || row.compare(best) !== 0) continue
      const seat = row.least[ticket]
      if (seat !== undefined) return seat.target
      ticket -= row.least.length
    }
    return undefined
  }

  /** The row of a share, which is to have one seat more. */
  #join(share: number): Row {
    let row = this.#rows.find((other) => other.share === share)
    if (row === undefined) {
      row = new Row(share)
      this.#rows.push(row)
    }
    row.members++
    return row
  }

  #leave(row: Row): void {
    row.members--
    if (row.members === 0) this.#rows.splice(this.#rows.indexOf(row), 1)
  }
}

/** Seats of one share. */
class Row {
  readonly share: number
  /** Seats that belong here. */
  members = 0
  /** Seats that take part. */
  size = 0
  readonly #levels: Seat[][] = []
  #lowest = 0

  constructor(share: number) {
    this.share = share
  }

  /** The seats with the least load. */
  get least(): readonly Seat[] {
    return this.#levels[this.#lowest] ?? []
  }

  /** Negative when the least load for its weight, the attempt to come included, is below that of the other row. */
  compare(other: Row): number {
    return (this.#lowest + 1) * other.share - (other.#lowest + 1) * this.share
  }

  insert(seat: Seat, level: number): void {
    while (this.#levels.length <= level) this.#levels.push([])
    const seats = this.#levels[level] ?? []
    seat.level = level
    seat.place = seats.length
    seats.push(seat)
    if (this.size === 0 || level < this.#lowest) this.#lowest = level
    this.size++
  }

  take(seat: Seat): void {
    const seats = this.#levels[seat.level] ?? []
    const last = seats.pop()
    if (last !== undefined && last !== seat) {
      seats[seat.place] = last
      last.place = seat.place
    }
    seat.level = -1
    this.size--
    while (this.size > 0 && this.least.length === 0) this.#lowest++
  }
}
