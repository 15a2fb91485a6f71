import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  /** Both in one file, as HAProxy has it. */
  readonly both: string
}

/** Makes a self-signed certificate for localhost; undefined where openssl is not there, which Node.js cannot stand in for. */
export function makeCertificate(folder: string): Certificate | undefined {
  const cert = join(folder, 'cert.pem')
  const key = join(folder, 'key.pem')
  const both = join(folder, 'both.pem')
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  const args = [
    'req',
    '-x509',
    ...curve,
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-keyout',
    key,
    '-out',
    cert
  ]
  try {
    execFileSync('openssl', args, { stdio: 'ignore' })
  } catch {
    return undefined
  }
  writeFileSync(both, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'))
  return { cert, key, both }
}
