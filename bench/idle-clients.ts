import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Client } from './client.ts'
import { type Entry, lineUp, type Place, type Server, start, withOrigin } from './line-up.ts'
import { load, openClients, SMALL_GET } from './load.ts'
import { interleave, median, table } from './measure.ts'
import { stopProcess } from './process.ts'
import { usageOf } from './process-usage.ts'
import { type Command, type Contender, EMBEDDED, NO_PROXY, OWN } from './proxies/index.ts'
import { entry as pathOf } from './proxies/node-command.ts'
import { cell } from './round.ts'

/** Bytes per idle client: of objects of JavaScript, and of resident memory. */
interface Footprint {
  readonly used: number
  readonly resident: number
}

const CLIENTS = 5_000
const REQUESTS_EACH = 3
/** Clients that connect at the same time. */
const BATCH = 100

/**
 * Memory for each of many clients that have sent some requests and then say nothing. Before they come, a process has
 * served as many requests of few clients: what it keeps for its work is not counted.
 */
export function benchIdleClients(quick: boolean, proxies: readonly Contender[]): Promise<string> {
  const clients = quick ? 500 : CLIENTS
  const skipped = new Set<string>()
  return withOrigin({}, async (place) => {
    // Logs and diagnostics have nothing to do with it.
    const entries = lineUp({}, proxies).filter(({ name }) => !name.startsWith(`${OWN}, `) && name !== EMBEDDED)
    const cases = entries.map((one) => ({
      name: one.name,
      run: () => footprint(one, place, clients).catch((error) => void skipped.add(`${one.name}: ${messageOf(error)}`))
    }))
    const results = await interleave(cases, quick ? 1 : 3)
    return [footprintTable(`${clients} idle clients`, results), ...skipped].join('\n').trimEnd()
  })
}

export function footprintTable(title: string, results: ReadonlyMap<string, readonly Footprint[]>): string {
  const plain = results.get(NO_PROXY) ?? []
  const rows = [...results]
    .filter(([, footprints]) => footprints.length > 0)
    .map(([name, footprints]) => [
      name,
      kibibytes(footprints, 'used'),
      kibibytes(footprints, 'used', plain),
      kibibytes(footprints, 'resident'),
      kibibytes(footprints, 'resident', plain)
    ])
  return table([title, 'heap KiB', `beyond ${NO_PROXY}`, 'resident KiB', `beyond ${NO_PROXY}`], rows)
}

function kibibytes(footprints: readonly Footprint[], key: keyof Footprint, without?: readonly Footprint[]): string {
  const value = median(footprints.map((one) => one[key]))
  return cell((value - (without === undefined ? 0 : median(without.map((one) => one[key])))) / 1_024, 1)
}

async function footprint(one: Entry, place: Place, count: number): Promise<Footprint> {
  const file = join(place.folder, 'memory.json')
  const server = await start(one, place, {}, (command) => withCollector(command, file))
  if (typeof server === 'string') throw new Error(server)
  const clients: Client[] = []
  try {
    await load({ port: server.port, requests: count * REQUESTS_EACH, connections: BATCH })
    const before = await memoryOf(server, file)
    while (clients.length < count)
      clients.push(...(await comeAndRest(server.port, Math.min(BATCH, count - clients.length))))
    const after = await memoryOf(server, file)
    return { used: (after.used - before.used) / count, resident: (after.resident - before.resident) / count }
  } finally {
    for (const client of clients) client.close()
    await stopProcess(server.child)
  }
}

async function comeAndRest(port: number, count: number): Promise<Client[]> {
  const clients = await openClients(count, { port, exchange: SMALL_GET })
  for (const request of Array.from({ length: REQUESTS_EACH }, () => SMALL_GET.requests[0])) {
    if (request !== undefined) await Promise.all(clients.map((client) => client.ask(request)))
  }
  for (const client of clients) client.onFailure = () => {}
  return clients
}

/** Programs on Node.js collect their garbage when they are told to. */
function withCollector({ program, args, env = {} }: Command, file: string): Command {
  if (program !== process.execPath) return { program, args, env }
  const collector = pathToFileURL(pathOf('./collect')).href
  return { program, args: ['--import', collector, ...args], env: { ...env, BENCH_MEMORY: file } }
}

/** NaN for what is not known. */
async function memoryOf({ child }: Server, file: string): Promise<Footprint> {
  rmSync(file, { force: true })
  if (child.spawnargs.includes('--import')) {
    child.kill('SIGWINCH')
    for (let left = 500; left > 0 && !existsSync(file); left--) await sleep(10)
  }
  // What is given back to the system takes a moment.
  await sleep(500)
  const resident = usageOf(child.pid ?? 0)?.rss ?? Number.NaN
  if (!existsSync(file)) return { used: Number.NaN, resident }
  const found: unknown = JSON.parse(readFileSync(file, 'utf8'))
  const used = typeof found === 'object' && found !== null ? Number(Reflect.get(found, 'used')) : Number.NaN
  return { used, resident }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
