import { isDeepStrictEqual } from 'node:util'
import { createDraw } from './draw.ts'
import { readWithNode } from './node-reader.ts'
import { OwnReader, type OwnReading, type Reading } from './own-reader.ts'
import { drawCase, type FuzzCase } from './responses.ts'

/** Numbers of one stream of a seed, and how many responses are drawn by them. */
export interface FuzzShare {
  readonly count: number
  readonly seed: number
  readonly stream: number
}

/** A response that the two parsers have read in different ways. */
export interface Difference {
  readonly method: string
  /** As latin1. */
  readonly bytes: string
  readonly own: Reading
  /** Why it is refused, where it is. */
  readonly node: Reading | string
}

export interface FuzzResult {
  count: number
  /** How many the gateway's parser takes. */
  accepted: number
  /** How many it refuses for which reason; cut short counts as one. */
  readonly refused: Map<string, number>
  readonly differences: Difference[]
}

const BATCH = 256
/** As many as anybody would look at. */
const MAX_DIFFERENCES = 20

/**
 * Lets the gateway's parser and that of Node.js read drawn responses. Whatever the first one takes, the second must
 * take as well, and see the same status, fields, body and end in it.
 */
export async function fuzz({ count, seed, stream }: FuzzShare): Promise<FuzzResult> {
  const draw = createDraw(seed, stream)
  const reader = new OwnReader()
  const result = { count, accepted: 0, refused: new Map<string, number>(), differences: [] as Difference[] }
  let batch: { sent: FuzzCase; own: OwnReading }[] = []
  for (let left = count; left > 0; left--) {
    const sent = drawCase(draw)
    const own = reader.read(sent)
    if (typeof own === 'string') result.refused.set(own, (result.refused.get(own) ?? 0) + 1)
    else batch.push({ sent, own })
    if (batch.length < BATCH && left > 1) continue
    result.accepted += batch.length
    await compare(batch, result.differences)
    batch = []
  }
  return result
}

async function compare(batch: { sent: FuzzCase; own: OwnReading }[], differences: Difference[]): Promise<void> {
  const readings = await readWithNode(batch)
  for (const [index, { sent, own }] of batch.entries()) {
    const node = readings[index] ?? 'not read'
    const { length: _length, untilClose: _untilClose, ...reading } = own
    if (typeof node !== 'string' && agree(sent, reading, node)) continue
    if (differences.length < MAX_DIFFERENCES) {
      differences.push({ method: sent.method, bytes: sent.bytes.toString('latin1'), own: reading, node })
    }
  }
}

/** Whether the readings are the same, but that only one of them may keep the connection where that is known. */
function agree(sent: FuzzCase, own: Reading, node: Reading): boolean {
  if (!isDeepStrictEqual({ ...own, reusable: false }, { ...node, reusable: false })) return false
  return !own.reusable || node.reusable || keptOnPurpose(sent)
}

const TAB_AFTER_OPTION = /^connection:[^\r]*\t\r$/im

/**
 * Node.js closes after a response to HEAD that has no length, and does not see `keep-alive` before a tab. Neither says
 * anything on where messages end (RFC 9112, section 6.3).
 */
function keptOnPurpose({ method, bytes }: FuzzCase): boolean {
  return method === 'HEAD' || TAB_AFTER_OPTION.test(bytes.toString('latin1'))
}
