import { EventEmitter } from 'node:events'
import type { Difference } from './comparison.ts'
import type { Mirror } from './mirror.ts'

/** How the response of a mirror differed from that of the primary. */
export interface MirrorReport {
  /** Id of the route. */
  readonly route: string
  /** Name of the upstream that answered the client. */
  readonly upstream: string | undefined
  /** Name of the upstream of the mirror. */
  readonly mirror: string
  readonly requestId: string
  readonly method: string
  /** Path and query as both targets got them. */
  readonly path: string
  /** What differs, at most 20. */
  readonly differences: readonly Difference[]
}

export interface MirrorEvents {
  /** Two responses differ. What a listener throws is logged. */
  difference: [report: MirrorReport]
}

/** The mirrors of all routes of a scope. */
export class Mirrors extends EventEmitter<MirrorEvents> {
  readonly #list: Mirror[] = []

  /** In the order of the routes, and of each route's list. */
  get list(): readonly Mirror[] {
    return this.#list
  }

  /** Bytes of bodies that are kept at present, those of copied requests and those to be compared. */
  get heldBytes(): number {
    return this.#list.reduce((sum, { heldBytes }) => sum + heldBytes, 0)
  }

  add(mirror: Mirror): void {
    this.#list.push(mirror)
  }
}
