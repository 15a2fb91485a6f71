import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { GatewayOptions } from '../../plugins/config/index.ts'
import type { Behaviour } from './behaviour.ts'
import { type ChaosLoadResult, steadyLoad } from './load.ts'

export interface ChaosOptions {
  readonly behaviours: readonly Behaviour[]
  /** The upstream, but for its targets. */
  readonly upstream: NonNullable<GatewayOptions['upstreams']>[string]
  readonly seed: number
  readonly perSecond: number
  readonly seconds: number
}

/** Runs a steady load through a gateway whose targets behave as told; each side is a process of its own. */
export async function chaos({ behaviours, upstream, seed, ...rate }: ChaosOptions): Promise<ChaosLoadResult> {
  const targets = start('./targets', [String(seed), behaviours.join(',')])
  const folder = mkdtempSync(join(tmpdir(), 'chaos-'))
  try {
    const [ports]: number[][] = await once(targets, 'message')
    const file = join(folder, 'gateway.json')
    const urls = (ports ?? []).map((port) => `http://127.0.0.1:${port}`)
    const config: GatewayOptions = {
      upstreams: { chaos: { ...upstream, targets: urls } },
      routes: [{ match: { path: '/*' }, upstream: 'chaos' }]
    }
    writeFileSync(file, JSON.stringify(config))
    const gateway = start('../soak/gateway', [], { GATEWAY_CONFIG: file, GATEWAY_LOG_LEVEL: 'silent' })
    try {
      const [port] = await once(gateway, 'message')
      return await steadyLoad({ port: Number(port), ...rate })
    } finally {
      gateway.disconnect()
    }
  } finally {
    targets.disconnect()
    rmSync(folder, { recursive: true })
  }
}

// Not rewritten by the compiler, as imports are.
function start(name: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const entry = fileURLToPath(new URL(name + extname(import.meta.filename), import.meta.url))
  return fork(entry, args, { execArgv: [], env: { ...process.env, ...env } })
}
