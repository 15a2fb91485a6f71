import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Proxies from npm that the project has no other use for. They are installed when they are first asked for, into a
 * folder of their own, so that nobody who works on the project has to have them.
 */
const VERSIONS: Readonly<Record<string, string>> = {
  '@fastify/http-proxy': '11.6.3'
}

const folder = join(tmpdir(), 'fastify-gateway-bench')

/** Whether the package is there, or could be installed just now. */
export function provide(name: string): boolean {
  if (existsSync(join(folder, 'node_modules', name))) return true
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  try {
    const wanted = `${name}@${VERSIONS[name] ?? 'latest'}`
    execFileSync('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', wanted], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What the package exports. */
export function load(name: string): unknown {
  return createRequire(join(folder, 'package.json'))(name)
}
