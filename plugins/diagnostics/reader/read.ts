import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { renderHeap } from './heap.ts'
import { renderProfile } from './profile.ts'
import { renderReport } from './report.ts'
import { renderStack } from './stack.ts'

/** How ELF files begin. */
const CORE = Buffer.from('\x7fELF', 'latin1')
const GZIP = Buffer.from([0x1f, 0x8b])

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
 * @throws Error if it is none of these
 */
export function renderFile(path: string, options: ReadOptions = {}): string {
  const text = readText(path)
  if (text.startsWith('{"snapshot"')) return renderHeap(text, options)
  const value = parse(text)
  if (typeof value === 'object' && value !== null) {
    if ('frames' in value) return renderStack(value)
    if ('nodes' in value && 'samples' in value) return renderProfile(value, options.rows)
    if ('header' in value) return renderReport(value)
  }
  throw new Error(`${path} is neither a report, a stack, a CPU profile nor a heap snapshot`)
}

function readText(path: string): string {
  // Looked at before the rest is read, which may be gigabytes.
  const start = startOf(path)
  if (start.equals(CORE)) throw new Error(`${path} is a core or a program: for gdb, as in docs/debugging.md`)
  try {
    const content = readFileSync(path)
    return (start.subarray(0, 2).equals(GZIP) ? gunzipSync(content) : content).toString('utf8')
  } catch (cause) {
    throw new Error(`${path} cannot be read: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

function startOf(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const start = Buffer.alloc(CORE.length)
    return start.subarray(0, readSync(file, start))
  } finally {
    closeSync(file)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // No JSON is no artifact either, and what is wrong with it tells nobody anything.
    return undefined
  }
}
