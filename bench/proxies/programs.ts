import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kept } from './packages.ts'
import type { Capability, Contender, Setup } from './types.ts'

const BOTH: readonly Capability[] = ['tls', 'webSocket']
const UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;'

/** Proxies that are programs of their own; each with its defaults where these do not cost it anything. */
export const programs: readonly Contender[] = [
  {
    name: 'Go ReverseProxy',
    can: BOTH,
    prepare({ port, origin, tls }) {
      if (!isInstalled('go', ['version'])) return 'go is not installed'
      mkdirSync(kept, { recursive: true })
      const program = join(kept, 'reverse-proxy')
      const env = { ...process.env, GO111MODULE: 'off', GOFLAGS: '' }
      execFileSync('go', ['build', '-o', program, 'bench/proxies/reverse-proxy.go'], { env })
      const files = tls === undefined ? [] : [tls.cert, tls.key]
      return { program, args: [`127.0.0.1:${port}`, `http://127.0.0.1:${origin}`, ...files], env: { GOMAXPROCS: '1' } }
    }
  },
  {
    name: 'Caddy',
    can: BOTH,
    prepare(setup) {
      if (!isInstalled('caddy', ['version'])) return 'caddy is not installed'
      const { tls } = setup
      const listen = tls === undefined ? '' : `tls ${tls.cert} ${tls.key}`
      const file = configure('Caddyfile', setup, { listen, scheme: tls === undefined ? 'http' : 'https' })
      const env = { GOMAXPROCS: '1', HOME: setup.folder }
      return { program: 'caddy', args: ['run', '--adapter', 'caddyfile', '--config', file], env }
    }
  },
  {
    name: 'HAProxy',
    can: BOTH,
    prepare(setup) {
      if (!isInstalled('haproxy', ['-v'])) return 'haproxy is not installed'
      const listen = setup.tls === undefined ? '' : ` ssl crt ${setup.tls.both}`
      return { program: 'haproxy', args: ['-db', '-q', '-f', configure('haproxy.cfg', setup, { listen })] }
    }
  },
  {
    name: 'nginx',
    can: BOTH,
    prepare(setup) {
      if (!isInstalled('nginx', ['-v'])) return 'nginx is not installed'
      const { tls, webSocket } = setup
      const listen = tls === undefined ? '' : ` ssl; ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key}`
      const upgrade = webSocket ? UPGRADE : 'proxy_set_header Connection "";'
      const file = configure('nginx.conf', setup, { listen, upgrade, workers: String(setup.workers) })
      return { program: 'nginx', args: ['-p', setup.folder, '-c', file] }
    }
  }
]

/** Fills in the configuration that stands beside this file in the sources. */
function configure(name: string, { port, origin, folder }: Setup, more: Readonly<Record<string, string>>): string {
  const values: Readonly<Record<string, unknown>> = { port, origin, folder, ...more }
  const text = readFileSync(join('bench/proxies', name), 'utf8')
  const file = join(folder, name)
  writeFileSync(
    file,
    text.replace(/%([a-z]+)%/g, (_whole, key: string) => String(values[key]))
  )
  return file
}

/** Whether a program can be run. */
function isInstalled(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
