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
  const stats = readStats()
  if (!stats.has(pid)) return undefined
  const total = { cpu: 0, rss: 0, peak: 0 }
  const family = [pid]
  for (const member of family) {
    family.push(...[...stats].filter(([, { parent }]) => parent === member).map(([child]) => child))
    const status = readText(`/proc/${member}/status`)
    total.cpu += (stats.get(member)?.ticks ?? 0) * MICROSECONDS_PER_TICK
    total.rss += kilobytes(status, 'VmRSS') * 1024
    total.peak += kilobytes(status, 'VmHWM') * 1024
  }
  return total
}

function readStats(): Map<number, { parent: number; ticks: number }> {
  const stats = new Map<number, { parent: number; ticks: number }>()
  for (const name of readFolder('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const text = readText(`/proc/${name}/stat`)
    // The name of the program comes before, in brackets, and may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    if (fields.length > 12)
      stats.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) })
  }
  return stats
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
