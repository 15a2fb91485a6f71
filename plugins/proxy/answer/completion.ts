/** An answer that has all it needs, and waits to be sent. */
export interface Completable {
  complete(): void
}

let waiting: Completable[] = []
let spare: Completable[] = []

/**
 * Completes an answer once everything that has arrived in this turn of the event loop is dealt with. A write wakes a
 * client that sleeps, which costs more than the write itself; of writes one after the other, most find theirs awake.
 */
export function completeAfterTurn(answer: Completable): void {
  if (waiting.length === 0) setImmediate(completeAll)
  waiting.push(answer)
}

function completeAll(): void {
  const answers = waiting
  waiting = spare
  for (let i = 0; i < answers.length; i++) answers[i]?.complete()
  answers.length = 0
  spare = answers
}
