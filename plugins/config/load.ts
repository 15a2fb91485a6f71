import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { UnreadableConfigError } from '../errors.ts'
import { type Position, readDocument } from './document.ts'
import { type ConfigFault, invalidConfig, showPath } from './faults.ts'
import { type Checked, check, withoutConsequences } from './parse.ts'
import type { GatewayConfig } from './schema.ts'

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EPERM: 'permission denied'
}

/**
 * Reads a YAML or JSON file and makes the snapshot of it. Its values may refer to `env`; PEM files that it names are
 * relative to it.
 * @throws UnreadableConfigError if there is no such file, or it cannot be read
 * @throws InvalidConfigError with all faults, in the order of the file
 */
export function loadConfigFile(path: string, env: NodeJS.ProcessEnv = process.env): GatewayConfig {
  const checked = checkConfigFile(path, env)
  if ('config' in checked) return checked.config
  throw invalidConfig(checked.faults)
}

/** As `loadConfigFile`, but gives the faults back. */
export function checkConfigFile(
  path: string,
  env: NodeJS.ProcessEnv,
  strategies?: readonly string[]
): { readonly config: GatewayConfig } | { readonly faults: readonly ConfigFault[] } {
  const { content, syntaxFaults, referenceFaults, positionOf } = readDocument(readText(path), env)
  const checked: Checked = content === undefined ? { faults: [] } : check(content.value, dirname(path), strategies)
  if ('config' in checked && syntaxFaults.length === 0 && referenceFaults.length === 0) return checked

  const others = 'faults' in checked ? withoutConsequences(checked.faults, referenceFaults) : []
  const faults = [
    ...syntaxFaults.map(({ message, position }) => inFile(path, position, '', message)),
    ...[...referenceFaults, ...others].map((fault) =>
      inFile(path, positionOf(fault), showPath(fault.path), fault.message)
    )
  ]
  return { faults: faults.sort(byPosition) }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw Object.assign(new UnreadableConfigError(path, reasonOf(error)), { cause: error })
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason'
  const code = 'code' in error ? String(error.code) : ''
  return REASONS[code] ?? error.message
}

function inFile(file: string, position: Position, path: string, message: string): ConfigFault {
  const subject = path === '' ? '' : `${path}: `
  return { text: `${file}:${position.line}:${position.column} ${subject}${message}`, path, message, position }
}

function byPosition(a: ConfigFault, b: ConfigFault): number {
  const [from, to] = [a.position, b.position]
  if (from === undefined || to === undefined) return 0
  return from.line - to.line || from.column - to.column
}
