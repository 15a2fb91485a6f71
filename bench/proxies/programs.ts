import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender, Setup } from './types.ts'

/** Proxies that are programs of their own; each with its defaults where these do not cost it anything. */
export const programs: readonly Contender[] = [
  {
    name: 'Go ReverseProxy',
    prepare({ port, origin, folder }) {
      if (!isInstalled('go', ['version'])) return 'go is not installed'
      const program = join(folder, 'reverse-proxy')
      const env = { ...process.env, GO111MODULE: 'off', GOFLAGS: '' }
      execFileSync('go', ['build', '-o', program, 'bench/proxies/reverse-proxy.go'], { env })
      return { program, args: [`127.0.0.1:${port}`, `http://127.0.0.1:${origin}`], env: { GOMAXPROCS: '1' } }
    }
  },
  {
    name: 'Caddy',
    prepare(setup) {
      if (!isInstalled('caddy', ['version'])) return 'caddy is not installed'
      const file = configure('Caddyfile', setup)
      const env = { GOMAXPROCS: '1', HOME: setup.folder }
      return { program: 'caddy', args: ['run', '--adapter', 'caddyfile', '--config', file], env }
    }
  },
  {
    name: 'HAProxy',
    prepare(setup) {
      if (!isInstalled('haproxy', ['-v'])) return 'haproxy is not installed'
      return { program: 'haproxy', args: ['-db', '-q', '-f', configure('haproxy.cfg', setup)] }
    }
  },
  {
    name: 'nginx',
    prepare(setup) {
      if (!isInstalled('nginx', ['-v'])) return 'nginx is not installed'
      return { program: 'nginx', args: ['-p', setup.folder, '-c', configure('nginx.conf', setup)] }
    }
  }
]

/** Fills in the configuration that stands beside this file in the sources. */
function configure(name: string, setup: Setup): string {
  const text = readFileSync(join('bench/proxies', name), 'utf8')
  const file = join(setup.folder, name)
  writeFileSync(
    file,
    text.replace(/%(port|origin|folder)%/g, (_whole, key: 'port' | 'origin' | 'folder') => String(setup[key]))
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
