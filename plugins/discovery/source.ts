import type { Balancer } from '../balancer/index.ts'
import { NoRecordsError } from '../errors.ts'
import { Lookup, type LookupOptions } from './lookup.ts'
import { type Changes, Reconciler, type TargetTemplate, targetsOf } from './reconcile.ts'

/** Part of a wait by which it may be longer, so that processes that began together do not ask together. */
const JITTER = 0.1

export interface SourceSetup extends LookupOptions {
  readonly balancer: Balancer
  /** The name to look up. */
  readonly name: string
  readonly target: TargetTemplate
  /** Milliseconds: no look-up is repeated sooner, nor after a failure. */
  readonly minTtl: number
  /** Milliseconds: no answer is kept longer without another look. */
  readonly maxTtl: number
  /** A number from 0 up to, not including, 1. */
  random(): number
  /** Calls back after so many milliseconds; what it returns cancels that. */
  schedule(callback: () => void, milliseconds: number): () => void
  onChange(changes: Changes): void
  /** A look-up has failed; the last good answer holds on. */
  onFailure(error: Error): void
}

/**
 * One name, looked up again and again, whose answers are targets. An answer holds for its TTL. Without one, be it that the
 * server fails or that it says that there is no such name, the last good one holds on, however old it is.
 */
export class Source {
  readonly #setup: SourceSetup
  readonly #lookup: Lookup
  readonly #reconciler: Reconciler
  #failures = 0
  #cancel = () => {}
  #isStopped = false

  constructor(setup: SourceSetup) {
    this.#setup = setup
    this.#lookup = new Lookup(setup)
    this.#reconciler = new Reconciler(setup.balancer)
  }

  /** Looks the name up, and again when its time has come. Ends with the first look, good or bad; never rejects. */
  async look(): Promise<void> {
    const { name, target, schedule, onChange, onFailure } = this.#setup
    let wait: number
    try {
      const { endpoints, ttl } = await this.#lookup.find(name)
      if (this.#isStopped) return
      this.#failures = 0
      const changes = this.#reconciler.apply(targetsOf(endpoints, target))
      if (Object.values(changes).some((urls) => urls.length > 0)) onChange(changes)
      wait = this.#within(ttl)
    } catch (error) {
      if (this.#isStopped) return
      this.#failures++
      onFailure(error instanceof Error ? error : new NoRecordsError(name))
      wait = this.#within(this.#setup.minTtl * 2 ** (this.#failures - 1))
    }
    this.#cancel = schedule(() => void this.look(), wait * (1 + JITTER * this.#setup.random()))
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
    this.#lookup.cancel()
  }

  #within(milliseconds: number): number {
    const { minTtl, maxTtl } = this.#setup
    return Math.max(minTtl, Math.min(maxTtl, milliseconds))
  }
}
