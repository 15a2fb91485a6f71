import { lstatSync, readdirSync, readFileSync, rmSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type Artifacts, makePrivate } from './artifacts.ts'
import { cleanReport } from './report.ts'
import { type Scrubber, secretsOf } from './secrets.ts'

const NAME = /^report\.\d+\.\d+\.(\d+)\./
const PART = /^\..*-(\d+)-[0-9a-f]{8}\.[\w.]+\.part$/

/**
 * Where Node.js itself writes when a process has no memory left: nothing can be taken out of it then, so nobody gets at
 * it through the listener.
 */
export function rawDirectory({ directory }: Artifacts): string {
  const raw = join(directory, 'unscrubbed')
  makePrivate(raw)
  return raw
}

/**
 * Makes artifacts of what processes that are gone have left there, without secrets, and removes it; and what they were
 * writing when they went.
 */
export function scrubLeftOvers(artifacts: Artifacts, scrubber: Scrubber): void {
  const raw = rawDirectory(artifacts)
  for (const name of readdirSync(raw)) {
    if (!isOfDead(NAME, name)) continue
    const report = readReport(join(raw, name))
    // Another process may clean up at the same time: whoever has removed it has it.
    if (!removes(join(raw, name)) || report === undefined) continue
    const environment: unknown = Reflect.get(report, 'environmentVariables')
    const all = scrubber.and(secretsOf(typeof environment === 'object' && environment !== null ? environment : {}))
    artifacts.write('report', 'memory', cleanReport(all, report))
  }
  for (const name of readdirSync(artifacts.directory)) {
    if (isOfDead(PART, name)) rmSync(join(artifacts.directory, name), { force: true })
  }
}

function isOfDead(pattern: RegExp, name: string): boolean {
  const pid = Number(pattern.exec(name)?.[1])
  return Number.isInteger(pid) && !isOther(pid)
}

function removes(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'ENOENT') return false
    throw error
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
    // A link leads to something else than a report.
    if (!lstatSync(path).isFile()) return undefined
    const report: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return typeof report === 'object' && report !== null ? report : undefined
  } catch {
    // It was not written to its end.
    return undefined
  }
}
