import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { renderHeap } from './heap.ts'
import { renderProfile } from './profile.ts'
import { renderReport } from './report.ts'
import { renderStack } from './stack.ts'

/** What to show of a heap snapshot. */
export interface ReadOptions {
  /** Name of the functions whose variables are shown. */
  readonly closure?: string | undefined
  /** Name of the class whose objects are shown. */
  readonly class?: string | undefined
  /** Rows of tables. @default 20 */
  readonly rows?: number | undefined
}

/**
 * An artifact of the diagnostics as text. What the file is, is told by its content, so that reports, profiles and
 * snapshots that Node.js wrote by other ways can be read as well.
 * @throws SyntaxError if the file is not JSON, Error if it is none of these
 */
export function renderFile(path: string, options: ReadOptions = {}): string {
  const content = readFileSync(path)
  const isPacked = content[0] === 0x1f && content[1] === 0x8b
  const text = (isPacked ? gunzipSync(content) : content).toString('utf8')
  if (text.startsWith('{"snapshot"')) return renderHeap(text, options)
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null) {
    if ('frames' in value) return renderStack(value)
    if ('nodes' in value && 'samples' in value) return renderProfile(value, options.rows)
    if ('header' in value) return renderReport(value)
  }
  throw new Error(`${path} is neither a report, a stack, a CPU profile nor a heap snapshot`)
}
