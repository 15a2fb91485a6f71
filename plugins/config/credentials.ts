import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { Fault } from './faults.ts'
import type { GatewayConfig } from './schema.ts'

/** PEM texts by what is written in the configuration. */
export interface Credentials {
  readonly pem: ReadonlyMap<string, string>
  readonly faults: readonly Fault[]
}

const KEYS = ['ca', 'cert', 'key'] as const

/** Reads the PEM files that `tls` names, relative to `directory`, and tries whether TLS can use them. */
export function readCredentials(input: unknown, directory: string): Credentials {
  const pem = new Map<string, string>()
  const faults: Fault[] = []
  for (const [path, tls] of tlsKeys(input)) {
    const before = faults.length
    const used: Partial<Record<(typeof KEYS)[number], string>> = {}
    for (const key of KEYS) {
      const written = get(tls, key)
      if (typeof written !== 'string' || written === '') continue
      const read = pem.get(written) ?? readPem(written, directory)
      if (typeof read === 'string') {
        pem.set(written, read)
        used[key] = read
      } else {
        faults.push({
          path: [...path, key],
          at: 'value',
          message: `found ${read.reason}, expected PEM text or a PEM file`
        })
      }
    }
    const reason = faults.length === before ? refusal(used) : undefined
    if (reason !== undefined) {
      faults.push({
        path,
        at: 'value',
        message: `found ${reason}, expected certificates and a key that belong together`
      })
    }
  }
  return { pem, faults }
}

/** The configuration with the PEM texts in place of what was written. */
export function withCredentials(config: GatewayConfig, { pem }: Credentials): GatewayConfig {
  const upstreams = Object.entries(config.upstreams).map(([name, upstream]) => {
    return [name, { ...upstream, tls: fill(upstream.tls, pem) }]
  })
  const { server } = config
  const tls = server.tls === undefined ? undefined : fill(server.tls, pem)
  return {
    ...config,
    upstreams: Object.fromEntries(upstreams),
    server: tls === undefined ? server : { ...server, tls }
  }
}

function fill<Tls extends { ca?: string | undefined; cert?: string | undefined; key?: string | undefined }>(
  written: Tls,
  pem: Credentials['pem']
): Tls {
  const tls = { ...written }
  for (const key of KEYS) {
    const text = pem.get(tls[key] ?? '')
    if (text !== undefined) tls[key] = text
  }
  return tls
}

/** Where PEM files may be named. */
function tlsKeys(input: unknown): [path: string[], tls: unknown][] {
  const upstreams = entries(get(input, 'upstreams')).map(([name, upstream]): [string[], unknown] => {
    return [['upstreams', name, 'tls'], get(upstream, 'tls')]
  })
  return [...upstreams, [['server', 'tls'], get(get(input, 'server'), 'tls')]]
}

// The reasons never quote what was read: it may be a private key.
function readPem(written: string, directory: string): string | { reason: string } {
  if (written.includes('-----BEGIN ')) return written
  // A text of several lines is a damaged PEM text, not the name of a file.
  if (/[\r\n\0]/.test(written)) return { reason: 'text that is not PEM' }
  try {
    const text = readFileSync(resolve(directory, written), 'utf8')
    return text.includes('-----BEGIN ') ? text : { reason: 'a file that is not PEM' }
  } catch (error) {
    return { reason: `an unreadable file (${get(error, 'code') ?? 'unknown reason'})` }
  }
}

function refusal(used: { ca?: string; cert?: string; key?: string }): string | undefined {
  try {
    createSecureContext(used)
    return undefined
  } catch (error) {
    return `what TLS refuses (${error instanceof Error ? error.message : 'unknown reason'})`
  }
}

function get(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined
}

function entries(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : []
}
