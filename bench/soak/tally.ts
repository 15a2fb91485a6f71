import { contentOf, digest } from './content.ts'

/** What a client asked for. */
export interface Asked {
  readonly id: number
  readonly size: number
  readonly body: Buffer
}

/** What it got; a status of 0 means no answer at all. */
export interface Got {
  readonly status: number
  readonly body: Buffer
  /** Digest of the body that the target received. */
  readonly received: string | undefined
  /** The answer came to its proper end. */
  readonly complete: boolean
}

/** Statuses that faults may lead to: the gateway's own, and what targets answer. */
const FAILURES = new Set([413, 502, 503, 504])

/** Counts what becomes of requests, and holds every answer against what it had to be. */
export class Tally {
  readonly counts = new Map<string, number>()
  readonly wrong: string[] = []
  requests = 0

  add(kind: string, asked: Asked, got: Got): void {
    this.requests++
    const fault = faultOf(asked, got)
    if (fault !== undefined) this.wrong.push(`${kind} ${asked.id}: ${fault}`)
    this.count(fault !== undefined ? 'wrong' : wordFor(got))
  }

  /** An exchange that is not held against anything: its client left, say. */
  count(word: string): void {
    this.counts.set(word, (this.counts.get(word) ?? 0) + 1)
  }
}

function wordFor({ status, complete }: Got): string {
  return complete ? String(status) : 'visibly truncated'
}

function faultOf({ id, size, body }: Asked, got: Got): string | undefined {
  if (got.status === 0) return 'no answer'
  if (!got.complete) return undefined
  if (FAILURES.has(got.status)) return undefined
  if (got.status !== 200) return `status ${got.status}`
  if (!got.body.equals(contentOf(id, size))) return `${got.body.length} bytes that are not the ${size} asked for`
  return got.received === digest(body) ? undefined : 'the target received another body'
}
