import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificate, makeCertificate } from './certificate.ts'
import { freePort, startProcess, stopProcess } from './process.ts'
import { type Command, type Contender, type Features, PLAIN } from './proxies/index.ts'
import { origin as originCommand } from './proxies/node-command.ts'
import type { Scenario } from './scenarios.ts'

/** One row of a table. */
export interface Entry {
  readonly name: string
  readonly features: Partial<Features>
  readonly proxy: Contender
}

/** A proxy that runs. */
export interface Server {
  readonly name: string
  readonly child: ChildProcess
  readonly port: number
}

/** Where a proxy is about to be started. */
export interface Place {
  readonly folder: string
  readonly origin: number
  readonly certificate: Certificate | undefined
  readonly pinned: boolean
}

const CANNOT = { tls: 'TLS', webSocket: 'WebSockets' } as const

/** All proxies; or the variants of some, as far as they are among the proxies. */
export function lineUp({ variants }: Pick<Scenario, 'variants'>, proxies: readonly Contender[]): Entry[] {
  if (variants === undefined) return proxies.map((proxy) => ({ name: proxy.name, features: {}, proxy }))
  return variants.flatMap(({ name, of, features }) =>
    proxies.filter((proxy) => proxy.name === of).map((proxy) => ({ name, features, proxy }))
  )
}

/** Starts an origin, gives a folder and a certificate where one is needed, and cleans up after the work. */
export async function withOrigin<T>(
  { needs, pinned = true }: Pick<Scenario, 'needs' | 'pinned'>,
  work: (place: Place) => Promise<T>
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'))
  let child: ChildProcess | undefined
  try {
    const origin = await freePort()
    // Reached by all loopback addresses.
    const command = originCommand({ port: origin, tls: undefined, env: { BENCH_HOST: '0.0.0.0' } })
    child = await startProcess(command, origin, pinned ? 0 : undefined)
    return await work({ folder, origin, pinned, certificate: needs === 'tls' ? makeCertificate(folder) : undefined })
  } finally {
    if (child !== undefined) await stopProcess(child)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @returns the proxy that runs, or why there is none: one line */
export async function start(
  { name, features, proxy }: Entry,
  { folder, origin, certificate, pinned }: Place,
  { needs }: Pick<Scenario, 'needs'> = {},
  change: (command: Command) => Command = (command) => command
): Promise<Server | string> {
  if (needs !== undefined && proxy.can?.includes(needs) !== true) {
    return `${name} is left out: it is not set up for ${CANNOT[needs]}`
  }
  if (needs === 'tls' && certificate === undefined) return `${name} is left out: openssl is not installed`
  const port = await freePort()
  const own = join(folder, String(port))
  mkdirSync(own)
  const wanted = { ...PLAIN, tls: certificate, webSocket: needs === 'webSocket', ...features }
  const command = proxy.prepare({ ...wanted, port, origin, folder: own })
  if (typeof command === 'string') return `${name} is left out: ${command}`
  const child = await startProcess(change(command), port, pinned ? 1 : undefined).catch(() => undefined)
  return child === undefined ? `${name} is left out: it does not start` : { name, child, port }
}
