/** Lets code wait for something that others bring about and tell of, without asking again and again. */
export class Signal {
  private readonly waiting = new Set<() => void>()

  /** Something has happened: conditions are looked at again. */
  notify(): void {
    for (const check of this.waiting) check()
  }

  /** Resolves with true as soon as the condition holds, with false after `limit` milliseconds. */
  until(condition: () => boolean, limit: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (held: boolean) => {
        clearTimeout(timer)
        this.waiting.delete(check)
        resolve(held)
      }
      const check = () => {
        if (condition()) finish(true)
      }
      const timer = setTimeout(() => finish(condition()), limit)
      this.waiting.add(check)
    })
  }
}
