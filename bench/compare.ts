import { type Entry, lineUp, type Server, start, withOrigin } from './line-up.ts'
import { load } from './load.ts'
import { interleave, quantile } from './measure.ts'
import { stopProcess } from './process.ts'
import { usageOf } from './process-usage.ts'
import type { Contender } from './proxies/index.ts'
import { type Round, report } from './round.ts'
import type { Scenario } from './scenarios.ts'

interface Comparison {
  readonly rounds: number
  /** Requests of a round. */
  readonly requests: number
}

/** Runs a scenario through all proxies, in interleaved rounds, and gives the table, and who was left out and why. */
export function compare(
  scenario: Scenario,
  proxies: readonly Contender[],
  { rounds, requests }: Comparison
): Promise<string> {
  return withOrigin(scenario, async (place) => {
    const servers: (Server & Entry)[] = []
    const skipped: string[] = []
    const failures = new Map<string, string[]>()
    try {
      for (const entry of lineUp(scenario, proxies)) {
        const server = await start(entry, place, scenario)
        if (typeof server === 'string') skipped.push(server)
        else servers.push({ ...entry, ...server })
      }
      const cases = servers.map((server) => ({
        name: server.name,
        // A round that broke off counts as an error, and for nothing else.
        run: () => measure(scenario, server, requests).catch((error) => fail(failures, server.name, error))
      }))
      const results = await interleave(cases, rounds)
      const outcomes = [...results].map(([name, done]) => ({
        name,
        rounds: done,
        failures: failures.get(name) ?? []
      }))
      return report(scenario.title, outcomes, skipped)
    } finally {
      await Promise.all(servers.map(({ child }) => stopProcess(child)))
    }
  })
}

function fail(failures: Map<string, string[]>, name: string, error: unknown): undefined {
  failures.set(name, [...(failures.get(name) ?? []), error instanceof Error ? error.message : String(error)])
}

async function measure(
  scenario: Scenario,
  { child, port, features }: Server & Entry,
  requests: number
): Promise<Round> {
  const { exchange, connections, needs } = scenario
  const before = usageOf(child.pid ?? 0)
  const own = process.cpuUsage()
  const { seconds, latencies } = await load({ exchange, connections, port, requests, tls: needs === 'tls' })
  const after = usageOf(child.pid ?? 0)
  const { user, system } = process.cpuUsage(own)
  const cpu = (after?.cpu ?? Number.NaN) - (before?.cpu ?? Number.NaN)
  return {
    cpu: cpu / requests,
    busy: cpu / 1e6 / seconds / (features.workers ?? 1),
    generatorBusy: (user + system) / 1e6 / seconds,
    perSecond: requests / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    peak: (after?.peak ?? Number.NaN) / 1024 ** 2
  }
}
