/** Something that happens at a time. */
export interface Event {
  readonly time: number
}

/** Events in order of time: a binary heap. */
export class EventQueue<T extends Event> {
  readonly #heap: T[] = []

  push(event: T): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || above.time <= event.time) break
      heap[at] = above
      at = parent
    }
    heap[at] = event
  }

  /** Takes out the next event. */
  pop(): T | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      const [left, right] = [heap[child], heap[child + 1]]
      if (left === undefined) break
      let earlier = left
      if (right !== undefined && right.time < left.time) {
        earlier = right
        child++
      }
      if (earlier.time >= last.time) break
      heap[at] = earlier
      at = child
    }
    heap[at] = last
    return first
  }
}
