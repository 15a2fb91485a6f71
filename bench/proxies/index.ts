import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { provide } from './packages.ts'
import { programs } from './programs.ts'
import type { Command, Contender, Setup } from './types.ts'

export type { Command, Contender, Setup } from './types.ts'

/** The one that all others are compared with. */
export const OWN = 'gateway'

/** Everything that is measured, in the order of the tables. */
export const proxies: readonly Contender[] = [
  { name: OWN, prepare: (setup) => standAlone(setup, {}) },
  { name: 'gateway, access log', prepare: (setup) => standAlone(setup, { GATEWAY_ACCESS_LOG: 'true' }) },
  {
    name: 'gateway, diagnostics on',
    prepare: (setup) => {
      const token = randomBytes(32).toString('hex')
      const directory = join(setup.folder, 'diagnostics')
      return standAlone(setup, {}, { diagnostics: { enabled: true, token, port: 0, directory, blockedAfter: '2s' } })
    }
  },
  { name: 'gateway in a Fastify app', prepare: (setup) => node('embedded', setup) },
  { name: 'node:http, no proxy', prepare: (setup) => node('origin', setup) },
  { name: 'node:http and undici', prepare: (setup) => node('undici', setup) },
  { name: '@fastify/reply-from', prepare: (setup) => node('reply-from', setup) },
  {
    name: '@fastify/http-proxy',
    prepare: (setup) => (provide('@fastify/http-proxy') ? node('http-proxy', setup) : 'it cannot be installed')
  },
  ...programs
]

/** One of the servers of `node-server.ts`. */
export function node(name: string, { port, origin }: Pick<Setup, 'port' | 'origin'>): Command {
  return { program: process.execPath, args: [entry('./node-server'), name, String(port), `http://127.0.0.1:${origin}`] }
}

/** As somebody would start it who has written a file. */
function standAlone(setup: Setup, env: Readonly<Record<string, string>>, more: object = {}): Command {
  const { port, origin, folder, layers, routes } = setup
  const file = join(folder, 'gateway.json')
  const others = Array.from({ length: routes - 1 }, (_, i) => ({
    match: { path: `/service-${i}/*` },
    upstream: 'bench'
  }))
  const upstreams = { bench: { targets: [`http://127.0.0.1:${origin}`] } }
  writeFileSync(file, JSON.stringify({ ...more, upstreams, routes: [...others, { upstream: 'bench' }] }))
  const variables = { GATEWAY_CONFIG: file, GATEWAY_PORT: String(port), BENCH_LAYERS: String(layers), ...env }
  return { program: process.execPath, args: [entry('./stand-alone')], env: variables }
}

// Not rewritten by the compiler, as imports are.
function entry(name: string): string {
  return fileURLToPath(new URL(`${name}${extname(import.meta.filename)}`, import.meta.url))
}
