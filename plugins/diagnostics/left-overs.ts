import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Artifacts } from './artifacts.ts'
import { cleanReport } from './report.ts'
import type { Scrubber } from './secrets.ts'

const NAME = /^report\.\d+\.\d+\.(\d+)\./

/**
 * Where Node.js itself writes when a process has no memory left: nothing can be taken out of it then, so nobody gets at
 * it through the listener.
 */
export function rawDirectory({ directory }: Artifacts): string {
  const raw = join(directory, 'unscrubbed')
  mkdirSync(raw, { recursive: true, mode: 0o700 })
  return raw
}

/** Makes artifacts of what processes that are gone have left there, without secrets, and removes it. */
export function scrubLeftOvers(artifacts: Artifacts, scrubber: Scrubber): void {
  const raw = rawDirectory(artifacts)
  for (const name of readdirSync(raw)) {
    const pid = Number(NAME.exec(name)?.[1])
    if (!Number.isInteger(pid) || isOther(pid)) continue
    const report = readReport(join(raw, name))
    if (report !== undefined) artifacts.write('report', 'memory', cleanReport(scrubber, report))
    rmSync(join(raw, name))
  }
}

/** Whether a process other than this one has that id; in a container, the one before often had the same. */
function isOther(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && Reflect.get(error, 'code') === 'EPERM'
  }
}

function readReport(path: string): object | undefined {
  try {
    const report: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return typeof report === 'object' && report !== null ? report : undefined
  } catch {
    // It was not written to its end.
    return undefined
  }
}
