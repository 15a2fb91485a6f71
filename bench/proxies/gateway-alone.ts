import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { entry } from './node-command.ts'
import type { Command, Setup } from './types.ts'

/** The gateway as somebody would start it who has written a file. */
export function gatewayAlone(setup: Setup, more: object = {}): Command {
  const { port, folder, layers, routes, workers, env, tls } = setup
  const file = join(folder, 'gateway.json')
  const others = Array.from({ length: routes - 1 }, (_, i) => ({
    match: { path: `/service-${i}/*` },
    upstream: 'bench'
  }))
  const server = { workers, ...(tls === undefined ? {} : { tls: { cert: tls.cert, key: tls.key } }) }
  const upstreams = { bench: { ...setup.strategy, targets: targetsOf(setup) } }
  const config = { ...more, server, upstreams, routes: [...others, { upstream: 'bench' }] }
  writeFileSync(file, JSON.stringify(config))
  const variables = { GATEWAY_CONFIG: file, GATEWAY_PORT: String(port), BENCH_LAYERS: String(layers), ...env }
  return { program: process.execPath, args: [entry(layers > 0 ? './with-layers' : '../../app')], env: variables }
}

/** All of 127.0.0.0/8 is this machine: as many addresses, on all of which the origin listens. */
function targetsOf({ targets, origin }: Setup): string[] {
  return Array.from({ length: targets }, (_, i) => `http://127.0.0.${i + 1}:${origin}`)
}
