import type { Scrubber } from './secrets.ts'

const MAX_CAUSES = 5

/** What is kept of an error: also its code and its causes, which the report of Node.js lacks. */
export interface ErrorRecord {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: ErrorRecord
}

/** The report of Node.js on this thread as text, without secrets. */
export function renderReport(scrubber: Scrubber, error?: unknown, origin?: string): string {
  const report: unknown = takeReport(error instanceof Error ? error : undefined)
  const record = error === undefined ? {} : { error: recordError(error), ...(origin === undefined ? {} : { origin }) }
  return cleanReport(scrubber, Object.assign({}, record, report))
}

/** A report that was taken elsewhere as text, without secrets. */
export function cleanReport(scrubber: Scrubber, report: object): string {
  return `${JSON.stringify(scrubber.json(report), null, 2)}\n`
}

function takeReport(error: Error | undefined): unknown {
  const { report } = process
  if (report === undefined) throw new Error('this Node.js has no reports')
  const before: unknown = Reflect.get(report, 'excludeNetwork')
  // Names of interfaces and of peers take time to look up, and say who is there.
  Reflect.set(report, 'excludeNetwork', true)
  try {
    return report.getReport(error)
  } finally {
    Reflect.set(report, 'excludeNetwork', before)
  }
}

export function recordError(error: unknown, depth = 0): ErrorRecord {
  if (!(error instanceof Error)) return { name: typeof error, message: describe(error) }
  const code: unknown = Reflect.get(error, 'code')
  const { name, message, stack, cause } = error
  return {
    name,
    message,
    ...(code === undefined ? {} : { code: String(code) }),
    ...(stack === undefined ? {} : { stack }),
    ...(cause === undefined || depth === MAX_CAUSES ? {} : { cause: recordError(cause, depth + 1) })
  }
}

function describe(value: unknown): string {
  try {
    return String(value)
  } catch {
    return 'a value that cannot be shown'
  }
}
