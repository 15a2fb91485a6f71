import type { Target } from './target.ts'
import type { Outcome } from './types.ts'

/** Whoever has to know at once when a target has failed too often, or is let through again. */
export interface FailureWatcher {
  /** The target is out of use for `failTimeout`, or for that long once more while an attempt probes it. */
  onOut(): void
  /** The target was out of use, and has answered. */
  onBack(target: Target): void
}

/**
 * Counts the failures of targets as nginx does it, in milliseconds instead of whole seconds: `maxFails` of them within
 * `failTimeout` put a target out of use for `failTimeout`. After that one attempt probes it.
 *
 * @see https://nginx.org/en/docs/http/ngx_http_upstream_module.html#max_fails
 */
export class FailureWindows {
  readonly #now: () => number
  readonly #watcher: FailureWatcher

  constructor(now: () => number, watcher: FailureWatcher) {
    this.#now = now
    this.#watcher = watcher
  }

  /** An attempt ended. */
  account(target: Target, outcome: Outcome): void {
    if (outcome === 'failure') this.#blame(target)
    else if (outcome !== 'neutral' && target.accessed < target.checked) this.forgive(target)
  }

  /** Forgets the failures of a target. */
  forgive(target: Target): void {
    if (target.fails === 0) return
    const wasOut = target.maxFails > 0 && target.fails >= target.maxFails
    target.fails = 0
    target.group.changes++
    if (wasOut) this.#watcher.onBack(target)
  }

  /**
   * A target with failures has been chosen. Moving `checked` shuts the door behind a probe: until it ends, no other
   * attempt reaches a failed target.
   */
  begin(target: Target): void {
    const now = this.#now()
    if (now - target.checked <= target.failTimeout) return
    target.checked = now
    target.group.changes++
    if (target.maxFails > 0 && target.fails >= target.maxFails) this.#watcher.onOut()
  }

  #blame(target: Target): void {
    target.fails++
    target.checked = this.#now()
    target.accessed = target.checked
    target.group.changes++
    if (target.fails === target.maxFails) this.#watcher.onOut()
  }
}
