import { lineUp, start, withOrigin } from './line-up.ts'
import { load } from './load.ts'
import { median, table } from './measure.ts'
import { stopProcess } from './process.ts'
import { usageOf } from './process-usage.ts'
import { type Contender, OWN } from './proxies/index.ts'
import { cell } from './round.ts'

const MINUTE = 60_000
const MINUTES = 5
const SAMPLES_PER_MINUTE = 60
const MEBIBYTE = 1024 ** 2

/** Resident memory of the gateway under five minutes of load, by the minute. With `quick`, of one second each. */
export function benchMemoryRun(quick: boolean, proxies: readonly Contender[]): Promise<string> {
  const minute = quick ? 1_000 : MINUTE
  return withOrigin({}, async (place) => {
    const [entry] = lineUp(
      {},
      proxies.filter(({ name }) => name === OWN)
    )
    const server = entry === undefined ? 'the gateway is left out' : await start(entry, place)
    if (typeof server === 'string') return server
    const samples: number[][] = []
    let requests = 0
    const begin = performance.now()
    const timer = setInterval(() => {
      const minutes = Math.floor((performance.now() - begin) / minute)
      const { rss = Number.NaN } = usageOf(server.child.pid ?? 0) ?? {}
      samples[minutes] = [...(samples[minutes] ?? []), rss / MEBIBYTE]
    }, minute / SAMPLES_PER_MINUTE)
    try {
      while (performance.now() - begin < MINUTES * minute) {
        const { latencies } = await load({ port: server.port, requests: 5_000, connections: 64 })
        requests += latencies.length
      }
      return `${memoryTable(samples.slice(0, MINUTES))}\n${requests} requests.`
    } finally {
      clearInterval(timer)
      await stopProcess(server.child)
    }
  })
}

export function memoryTable(minutes: readonly (readonly number[])[]): string {
  const rows = minutes.map((samples, index) => [
    String(index + 1),
    ...[Math.min(...samples), median(samples), Math.max(...samples)].map((value) => cell(value, 1))
  ])
  return table(['minute', 'least MiB', 'median MiB', 'most MiB'], rows)
}
