import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load } from './load.ts'
import { type Case, interleave, median, quantile, table } from './measure.ts'
import { freePort, startProcess, stopProcess } from './process.ts'
import { usageOf } from './process-usage.ts'
import { type Contender, node, OWN } from './proxies/index.ts'
import type { Scenario } from './scenarios.ts'

interface Round {
  /** Microseconds of processor time of the proxy's processes, per request; NaN where the system does not tell. */
  readonly cpu: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Mebibytes. */
  readonly peak: number
}

interface Comparison {
  readonly rounds: number
  /** Requests of a round. */
  readonly requests: number
}

const HEAD = ['CPU us/request', 'min-max', 'ratio', 'requests/s', 'p50 ms', 'p99 ms', 'peak MiB', 'errors']

/** Runs a scenario through all proxies, in interleaved rounds, and gives the table, and who was left out and why. */
export async function compare(
  scenario: Scenario,
  proxies: readonly Contender[],
  { rounds, requests }: Comparison
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'))
  const children: ChildProcess[] = []
  try {
    const origin = await freePort()
    children.push(await startProcess(node('origin', { port: origin, origin }), origin, 0))
    const cases: Case<Round>[] = []
    const skipped: string[] = []
    const errors = new Map<string, number>()
    for (const { name, prepare, layers, routes } of lineUp(scenario, proxies)) {
      const port = await freePort()
      const own = mkdtempSync(join(folder, 'proxy-'))
      const command = prepare({ port, origin, folder: own, layers, routes })
      if (typeof command === 'string') {
        skipped.push(`${name} is left out: ${command}`)
        continue
      }
      const child = await startProcess(command, port, 1).catch(() => undefined)
      if (child === undefined) {
        skipped.push(`${name} is left out: it does not start`)
        continue
      }
      children.push(child)
      const run = () => measure(scenario, child, port, requests).catch(() => fail(errors, name))
      cases.push({ name, run })
    }
    const results = await interleave(cases, rounds)
    return [report(scenario.title, results, errors), ...skipped].join('\n')
  } finally {
    await Promise.all(children.map(stopProcess))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** All proxies; or the gateway as it is and with what the scenario adds to it, which no other has. */
function lineUp({ title, layers = 0, routes = 1 }: Scenario, proxies: readonly Contender[]) {
  const plain = { layers: 0, routes: 1 }
  if (layers === 0 && routes === 1) return proxies.map((proxy) => ({ ...proxy, ...plain }))
  return proxies
    .filter(({ name }) => name === OWN)
    .flatMap((proxy) => [
      { ...proxy, ...plain },
      { ...proxy, name: `${OWN}, ${title}`, layers, routes }
    ])
}

/** A round that broke off counts as an error, and for nothing else. */
function fail(errors: Map<string, number>, name: string): Round {
  errors.set(name, (errors.get(name) ?? 0) + 1)
  return { cpu: Number.NaN, perSecond: Number.NaN, p50: Number.NaN, p99: Number.NaN, peak: Number.NaN }
}

async function measure(scenario: Scenario, child: ChildProcess, port: number, requests: number): Promise<Round> {
  const before = usageOf(child.pid ?? 0)
  const { seconds, latencies } = await load({ ...scenario, port, requests })
  const after = usageOf(child.pid ?? 0)
  return {
    cpu: ((after?.cpu ?? Number.NaN) - (before?.cpu ?? Number.NaN)) / requests,
    perSecond: requests / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    peak: (after?.peak ?? Number.NaN) / 1024 ** 2
  }
}

function report(
  title: string,
  results: ReadonlyMap<string, readonly Round[]>,
  errors: ReadonlyMap<string, number>
): string {
  const own = medianOf(results.get(OWN) ?? [], 'cpu')
  const rows = [...results].map(([name, rounds]) => {
    const cpus = rounds.map(({ cpu }) => cpu)
    const cpu = median(cpus)
    return [
      name,
      cpu.toFixed(1),
      `${Math.min(...cpus).toFixed(1)}-${Math.max(...cpus).toFixed(1)}`,
      (cpu / own).toFixed(2),
      medianOf(rounds, 'perSecond').toFixed(0),
      medianOf(rounds, 'p50').toFixed(2),
      medianOf(rounds, 'p99').toFixed(2),
      medianOf(rounds, 'peak').toFixed(0),
      String(errors.get(name) ?? 0)
    ]
  })
  return table([title, ...HEAD], rows)
}

function medianOf(rounds: readonly Round[], key: keyof Round): number {
  return median(rounds.map((round) => round[key]))
}
