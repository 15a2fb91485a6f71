import type { Target } from './target.ts'
import { trimTargetUrl } from './target-url.ts'

/** The targets of an upstream in the order they were added; no two of them have the same URL. */
export class TargetList {
  /** A new array after each change. */
  all: readonly Target[] = []
  /** The only target, if there is exactly one. */
  single: Target | undefined = undefined

  /** @param url as written, with or without a slash at the end */
  find(url: string): Target | undefined {
    const trimmed = trimTargetUrl(url)
    return this.all.find((target) => target.url === trimmed)
  }

  add(target: Target): void {
    this.#replace([...this.all, target])
  }

  remove(target: Target): void {
    this.#replace(this.all.filter((other) => other !== target))
  }

  #replace(targets: readonly Target[]): void {
    this.all = targets
    this.single = targets.length === 1 ? targets[0] : undefined
  }
}
