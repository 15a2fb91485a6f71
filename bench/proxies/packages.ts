import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Proxies from npm that the project has no other use for. They are installed when they are first asked for, into a
 * folder of their own, so that nobody who works on the project has to have them.
 */
const VERSIONS: Readonly<Record<string, string>> = {
  '@fastify/http-proxy': '11.6.3',
  'http-proxy-3': '2.0.1',
  'fast-gateway': '3.4.7'
}

/** What is made once and used by later runs as well. */
export const kept = join(tmpdir(), 'fastify-gateway-bench')

/** Whether the package is there, or could be installed just now. */
export function provide(name: string): boolean {
  if (existsSync(join(kept, 'node_modules', name))) return true
  mkdirSync(kept, { recursive: true })
  writeFileSync(join(kept, 'package.json'), '{ "private": true }')
  try {
    const wanted = `${name}@${VERSIONS[name] ?? 'latest'}`
    execFileSync('npm', ['install', '--prefix', kept, '--no-audit', '--no-fund', wanted], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What the package exports. */
export function load(name: string): unknown {
  return createRequire(join(kept, 'package.json'))(name)
}

/** The version that is there; undefined if none is. */
export function versionOf(name: string): string | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(join(kept, 'node_modules', name, 'package.json'), 'utf8'))
    return typeof found === 'object' && found !== null ? String(Reflect.get(found, 'version')) : undefined
  } catch {
    return undefined
  }
}
