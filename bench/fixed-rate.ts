import { loadAtRate } from './fixed-rate-load.ts'
import { lineUp, type Server, start, withOrigin } from './line-up.ts'
import { load } from './load.ts'
import { interleave, median, quantile, table } from './measure.ts'
import { stopProcess } from './process.ts'
import { type Contender, GO, OWN } from './proxies/index.ts'
import { cell } from './round.ts'

const CONNECTIONS = 64
/** Share of the gateway's own peak. */
const SHARE = 0.7
const PERCENTILES = [0.5, 0.9, 0.99, 0.999]

/** Latencies of all proxies at one rate, at which the gateway is well busy; ratios are those to Go's. */
export function benchFixedRate(quick: boolean, proxies: readonly Contender[]): Promise<string> {
  return withOrigin({}, async (place) => {
    const servers: Server[] = []
    const skipped: string[] = []
    try {
      for (const entry of lineUp({}, proxies)) {
        const server = await start(entry, place)
        if (typeof server === 'string') skipped.push(`\n${server}\n`)
        else servers.push(server)
      }
      const own = servers.find(({ name }) => name === OWN)
      if (own === undefined) return 'The fixed rate is a share of what the gateway can do, and it is not there.'
      const rate = SHARE * (await peakOf(own, quick ? 2_000 : 20_000))
      const seconds = quick ? 0.3 : 3
      const results = await interleave(
        servers.map(({ name, port }) => ({
          name,
          run: () => loadAtRate({ port, rate, seconds, connections: CONNECTIONS }).catch(() => undefined)
        })),
        quick ? 2 : 7
      )
      const title = `small GET at ${rate.toFixed(0)}/s`
      return [latencyTable(title, results, quick ? 2 : 7), ...skipped].join('').trimEnd()
    } finally {
      await Promise.all(servers.map(({ child }) => stopProcess(child)))
    }
  })
}

/** Requests a second, at the most. */
async function peakOf({ port }: Server, requests: number): Promise<number> {
  const rates: number[] = []
  for (let round = 0; round < 4; round++) {
    const { seconds } = await load({ port, requests, connections: CONNECTIONS })
    if (round > 0) rates.push(requests / seconds)
  }
  return median(rates)
}

/** Medians over the rounds, each of which has percentiles of its own. */
export function latencyTable(
  title: string,
  results: ReadonlyMap<string, readonly Float64Array[]>,
  rounds: number
): string {
  const p99sOf = (name: string) => (results.get(name) ?? []).map((latencies) => quantile(latencies, 0.99))
  const others = median(p99sOf(GO))
  const rows = [...results].map(([name, done]) => {
    const p99s = p99sOf(name)
    return [
      name,
      ...PERCENTILES.map((share) => cell(median(done.map((latencies) => quantile(latencies, share))), 2)),
      `${cell(Math.min(...p99s), 2)}-${cell(Math.max(...p99s), 2)}`,
      cell(median(p99s) / others, 2),
      String(rounds - done.length)
    ]
  })
  const percentiles = PERCENTILES.map((share) => `p${share * 100} ms`)
  return table([title, ...percentiles, 'p99 min-max', `p99 to ${GO}`, 'errors'], rows)
}
