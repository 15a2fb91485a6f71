/** Work for which no client waits. */
export class BackgroundWork {
  readonly #pending = new Set<Promise<unknown>>()

  add(work: Promise<unknown>): void {
    this.#pending.add(work)
    void work.finally(() => this.#pending.delete(work))
  }

  /** Resolves once all of it is done. */
  async drained(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
  }
}
