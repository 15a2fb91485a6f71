import type { Target } from '../../balancer/index.ts'
import type { UpstreamConfig } from '../../config/index.ts'

/** The parsed rules of active checks. */
export type CheckRules = NonNullable<UpstreamConfig['health']['active']>

/** Says how a check has ended: why it failed, or undefined if it did not. */
export type Done = (failure: string | undefined) => void

/**
 * Begins a check of a target, over a connection of its own. Calls `done` once, also when what it returns was called, which
 * ends the check: nothing of it is left then.
 */
export type Probe = (target: Target, done: Done) => () => void

/** What came back for a request. */
export interface Answer {
  readonly status: number
  /** A header field; a trailer field where there is no such header. */
  field(name: string): string | undefined
  /** The beginning of the content. */
  readonly content: Buffer
}
