import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, totalmem, type } from 'node:os'
import { versionOf } from './proxies/packages.ts'

const PROGRAMS = [
  { name: 'Go', program: 'go', args: ['version'] },
  { name: 'Caddy', program: 'caddy', args: ['version'] },
  { name: 'HAProxy', program: 'haproxy', args: ['-v'] },
  { name: 'nginx', program: 'nginx', args: ['-v'] }
] as const
const PACKAGES = ['@fastify/http-proxy', 'http-proxy-3', 'fast-gateway']
const OWN_PACKAGES = ['fastify', '@fastify/reply-from', 'undici', 'ws']
const VERSION = /\d+\.\d+(?:\.\d+)?/

/** What has been measured, and where: one paragraph. */
export function describeMachine(date: Date): string {
  const [first] = cpus()
  const memory = Math.round(totalmem() / 1024 ** 3)
  const versions = [
    ...OWN_PACKAGES.map((name) => [name, installed(name)]),
    ...PACKAGES.map((name) => [name, versionOf(name)]),
    ...PROGRAMS.map(({ name, program, args }) => [name, said(program, args)])
  ]
  const known = versions.flatMap(([name, version]) => (version === undefined ? [] : [`${name} ${version}`]))
  return [
    `${date.toISOString().slice(0, 10)}, Node.js ${process.versions.node}, ${type()}, ${cpus().length} processors`,
    `(${first?.model.trim()}), ${memory} GiB. ${known.join(', ')}.`
  ].join(' ')
}

/** The first version in what a program says of itself, on whichever output. */
function said(program: string, args: readonly string[]): string | undefined {
  try {
    return VERSION.exec(execFileSync('sh', ['-c', `${[program, ...args].join(' ')} 2>&1`], { encoding: 'utf8' }))?.[0]
  } catch {
    return undefined
  }
}

function installed(name: string): string | undefined {
  try {
    return /"version": "([^"]+)"/.exec(readFileSync(`node_modules/${name}/package.json`, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}
