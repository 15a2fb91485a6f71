import type { Answer } from '../answer/answer.ts'

/** Told what a target answers the client, beside the answer itself. */
export interface AnswerObserver {
  onAnswerData(chunk: Buffer): void
  /** @param complete whether the response came whole */
  onAnswerEnd(complete: boolean): void
}

/** An answer that somebody looks at, who can neither change nor hold it. */
export class ObservedAnswer implements Answer {
  private readonly answer: Answer
  private readonly observer: AnswerObserver

  constructor(answer: Answer, observer: AnswerObserver) {
    this.answer = answer
    this.observer = observer
  }

  get begun(): boolean {
    return this.answer.begun
  }

  write(chunk: Buffer): boolean {
    this.observer.onAnswerData(chunk)
    return this.answer.write(chunk)
  }

  flush(): void {
    this.answer.flush()
  }

  end(trailers: readonly string[]): void {
    this.answer.end(trailers)
    this.observer.onAnswerEnd(true)
  }

  fail(error: Error): boolean {
    this.observer.onAnswerEnd(false)
    return this.answer.fail(error)
  }
}
