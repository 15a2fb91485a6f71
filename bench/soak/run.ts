import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ClientSetup, http1Client, http2Client, webSocketClient } from './clients.ts'
import { seeded } from './content.ts'
import type { GatewayReport } from './gateway.ts'
import { Tally } from './tally.ts'
import type { TargetReport } from './targets.ts'

export interface SoakOptions {
  readonly seconds: number
  /** Goes on beyond that time until there are so many answers. @default 0 */
  readonly answers?: number
  readonly seed: number
  /** HTTP/1.1 clients; there are a quarter as many of HTTP/2, and of WebSockets. */
  readonly clients: number
}

export interface SoakResult {
  readonly tally: Tally
  readonly targets: TargetReport
  /** What the gateway held, at even intervals, and at last without any load. */
  readonly samples: readonly GatewayReport[]
  readonly before: GatewayReport
  readonly after: GatewayReport
}

const SAMPLES = 20

/** Runs all sorts of clients against a gateway whose targets misbehave, each side in a process of its own. */
export async function soak({ seconds, answers = 0, seed, clients }: SoakOptions): Promise<SoakResult> {
  const targets = start('targets', [String(seed)])
  const folder = mkdtempSync(join(tmpdir(), 'soak-'))
  try {
    const [ports] = await once(targets, 'message')
    const file = join(folder, 'gateway.json')
    writeFileSync(file, JSON.stringify(configuration(ports)))
    const gateway = start('gateway', [], { GATEWAY_CONFIG: file, GATEWAY_LOG_LEVEL: 'silent' })
    try {
      const [port] = await once(gateway, 'message')
      return await drive(gateway, targets, { port: Number(port), seconds, answers, seed, clients })
    } finally {
      gateway.disconnect()
    }
  } finally {
    targets.disconnect()
    rmSync(folder, { recursive: true })
  }
}

async function drive(
  gateway: ChildProcess,
  targets: ChildProcess,
  { port, seconds, answers, seed, clients }: Required<SoakOptions> & { port: number }
): Promise<SoakResult> {
  const tally = new Tally()
  const end = performance.now() + seconds * 1_000
  const random = seeded(seed)
  let id = 0
  const setup: ClientSetup = {
    port,
    tally,
    random,
    nextId: () => id++,
    running: () => performance.now() < end || tally.requests < answers
  }
  const before = await report<GatewayReport>(gateway)
  const samples: GatewayReport[] = []
  const sampler = setInterval(
    () => {
      void report<GatewayReport>(gateway).then((sample) => samples.push(sample))
    },
    (seconds * 1_000) / SAMPLES
  )
  const few = Math.ceil(clients / 4)
  await Promise.all([
    ...Array.from({ length: clients }, () => http1Client(setup)),
    ...Array.from({ length: few }, () => http2Client(setup)),
    ...Array.from({ length: few }, () => webSocketClient(setup))
  ])
  clearInterval(sampler)
  const after = await settle(gateway)
  return { tally, samples, before, after, targets: await report<TargetReport>(targets) }
}

/** What the gateway holds once nothing is under way any more, or after some seconds in any case. */
async function settle(gateway: ChildProcess): Promise<GatewayReport> {
  for (let left = 50; ; left--) {
    const sample = await report<GatewayReport>(gateway)
    if (left === 0 || (sample.inFlight === 0 && left < 45)) return sample
    await new Promise((done) => setTimeout(done, 200))
  }
}

async function report<Report>(child: ChildProcess): Promise<Report> {
  const answer = once(child, 'message')
  child.send('report')
  const [value]: Report[] = await answer
  if (value === undefined) throw new Error('no report')
  return value
}

// Not rewritten by the compiler, as imports are.
function start(name: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const entry = fileURLToPath(new URL(`./${name}${extname(import.meta.filename)}`, import.meta.url))
  return fork(entry, args, { execArgv: ['--expose-gc'], env: { ...process.env, ...env } })
}

function configuration(ports: readonly number[]): object {
  const url = (port: number) => `http://127.0.0.1:${port}`
  const socket = ports.at(-1) ?? 0
  return {
    upstreams: {
      chaos: {
        strategy: 'least-connections',
        // Failures are meant to go on, so they put no target out of service.
        targets: ports.slice(0, -1).map((port) => ({ url: url(port), maxFails: 0, maxConnections: 30 })),
        timeouts: { connect: '1s', response: '1s', idle: '1s' },
        retry: { attempts: 2, maxRetryAfter: '2s' },
        queue: { size: 200, timeout: '5s' },
        hedge: { enabled: true }
      },
      sockets: { targets: [url(socket)] }
    },
    routes: [
      { match: { path: '/socket' }, upstream: 'sockets' },
      { match: { path: '/*' }, upstream: 'chaos' }
    ]
  }
}
