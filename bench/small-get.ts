import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { load } from './load.ts'
import { interleave, median, quantile, table } from './measure.ts'
import type { ServerName, Usage } from './server.ts'

interface Round {
  /** Microseconds of processor time of the server's process, per request. */
  readonly cpu: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Mebibytes. */
  readonly maxRss: number
}

interface Server {
  readonly name: ServerName
  readonly process: ChildProcess
  readonly port: number
}

const CONTENDERS: readonly ServerName[] = ['node:http, no proxy', 'gateway', 'gateway, diagnostics on', 'reply-from']
const CONNECTIONS = 32
// Not rewritten by the compiler, as imports are.
const ENTRY = fileURLToPath(new URL(`./server${extname(import.meta.filename)}`, import.meta.url))

/** A small GET over keep-alive connections, answered with about 80 bytes of JSON: each server in a process of its own. */
export async function benchSmallGet(quick: boolean): Promise<string> {
  const requests = quick ? 1_000 : 20_000
  const origin = await start('origin', '')
  const servers: Server[] = []
  try {
    for (const name of CONTENDERS) servers.push(await start(name, `http://127.0.0.1:${origin.port}`))
    const cases = servers.map((server) => ({ name: server.name, run: () => measure(server, requests) }))
    return report(await interleave(cases, quick ? 3 : 9))
  } finally {
    for (const server of [origin, ...servers]) server.process.disconnect()
  }
}

async function start(name: ServerName, origin: string): Promise<Server> {
  const child = fork(ENTRY, [name, origin], { execArgv: [] })
  const [port] = await once(child, 'message')
  return { name, process: child, port: Number(port) }
}

async function measure(server: Server, requests: number): Promise<Round> {
  const before = await usageOf(server)
  const { seconds, latencies } = await load({ port: server.port, requests, connections: CONNECTIONS })
  const after = await usageOf(server)
  return {
    cpu: (after.cpu - before.cpu) / requests,
    perSecond: requests / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    maxRss: after.maxRss / 1024
  }
}

async function usageOf({ process: child }: Server): Promise<Usage> {
  const answer = once(child, 'message')
  child.send('usage')
  const [usage]: Usage[] = await answer
  if (usage === undefined) throw new Error('the server did not tell its usage')
  return usage
}

function report(results: ReadonlyMap<string, readonly Round[]>): string {
  const own = medianOf(results.get('gateway') ?? [], 'cpu')
  return table(
    ['small GET', 'CPU us/request', 'ratio', 'requests/s', 'p50 ms', 'p99 ms', 'max RSS MiB'],
    [...results].map(([name, rounds]) => {
      const cpu = medianOf(rounds, 'cpu')
      return [
        name,
        cpu.toFixed(1),
        (cpu / own).toFixed(2),
        medianOf(rounds, 'perSecond').toFixed(0),
        medianOf(rounds, 'p50').toFixed(2),
        medianOf(rounds, 'p99').toFixed(2),
        medianOf(rounds, 'maxRss').toFixed(0)
      ]
    })
  )
}

function medianOf(rounds: readonly Round[], key: keyof Round): number {
  return median(rounds.map((round) => round[key]))
}
