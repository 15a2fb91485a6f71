import { readdirSync, readFileSync } from 'node:fs'

/** What processes have used so far. */
export interface Usage {
  /** Microseconds of processor time, user and system. */
  readonly cpu: number
  /** Bytes of memory now, and at the most. */
  readonly rss: number
  readonly peak: number
}

/** The kernel's clock tick, as proc(5) has it on all systems that Node.js runs on. */
const MICROSECONDS_PER_TICK = 10_000

/** The usage of a process and all below it; undefined where the system does not tell (only Linux does). */
export function usageOf(pid: number): Usage | undefined {
  return sumUp(pid, readStats(), (member) => readText(`/proc/${member}/status`))
}

/** What proc(5) tells of a process: who started it, and its processor time. */
export interface Stat {
  readonly parent: number
  readonly ticks: number
}

export function sumUp(
  pid: number,
  stats: ReadonlyMap<number, Stat>,
  readStatus: (pid: number) => string
): Usage | undefined {
  if (!stats.has(pid)) return undefined
  const total = { cpu: 0, rss: 0, peak: 0 }
  const family = [pid]
  for (const member of family) {
    family.push(...[...stats].filter(([, { parent }]) => parent === member).map(([child]) => child))
    const status = readStatus(member)
    total.cpu += (stats.get(member)?.ticks ?? 0) * MICROSECONDS_PER_TICK
    total.rss += kilobytes(status, 'VmRSS') * 1024
    total.peak += kilobytes(status, 'VmHWM') * 1024
  }
  return total
}

function readStats(): Map<number, Stat> {
  const names = readFolder('/proc').filter((name) => /^\d+$/.test(name))
  // One that has just ended has nothing to read.
  const stats = names.map((name) => [Number(name), parseStat(readText(`/proc/${name}/stat`))] as const)
  return new Map(stats.filter(([, { ticks }]) => !Number.isNaN(ticks)))
}

/** The text of a `stat` file; NaN for what is not in it. */
export function parseStat(text: string): Stat {
  // The name of the program comes before, in brackets, and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
}

function kilobytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** Empty if it cannot be read, as when the process has just ended. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
