/** What waits for news of the sockets. */
export interface Polled {
  onPolled(): void
}

let arriving: Polled[] = []
let due: Polled[] = []
let spare: Polled[] = []
let scheduled = false

/**
 * Calls back once the event loop has asked the system for news of all sockets, and handed them on. One turn is not
 * enough: what it hands on was asked for before the call. All that wait share the turns.
 */
export function afterPoll(waiting: Polled): void {
  arriving.push(waiting)
  if (scheduled) return
  scheduled = true
  setImmediate(turn)
}

function turn(): void {
  const polled = due
  due = arriving
  arriving = spare
  scheduled = due.length > 0
  if (scheduled) setImmediate(turn)
  for (let i = 0; i < polled.length; i++) polled[i]?.onPolled()
  polled.length = 0
  spare = polled
}
