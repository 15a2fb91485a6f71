import type { z } from 'zod'
import { InvalidConfigError } from '../errors.ts'
import { nearest } from './nearest.ts'

/** Where a value stands in the configuration: keys and list positions, from the top. */
export type FaultPath = readonly PropertyKey[]

/** Something wrong with the configuration, before it is known where that was written. */
export interface Fault {
  readonly path: FaultPath
  /** Whether it is the key at the end of `path` that is wrong, or its value. */
  readonly at: 'key' | 'value'
  readonly message: string
}

/** Something wrong with the configuration. */
export interface ConfigFault {
  /** The whole line: position, path, message. */
  readonly text: string
  /** As in `routes[0].match.path`; empty if it concerns the whole. */
  readonly path: string
  /** What was found, and what was expected. */
  readonly message: string
  /** Line and column in the file, both from 1; none for options given in code and for environment variables. */
  readonly position: { readonly line: number; readonly column: number } | undefined
}

/** An InvalidConfigError that also has its faults one by one. */
export function invalidConfig(faults: readonly ConfigFault[]): Error & { faults: readonly ConfigFault[] } {
  return Object.assign(new InvalidConfigError(faults.map((fault) => fault.text).join('\n')), { faults })
}

/** The faults of a value that its schema refused. By convention the schema's messages say what was expected. */
export function toFaults(issues: readonly z.core.$ZodIssue[], input: unknown, kind = 'key'): Fault[] {
  return issues.flatMap((issue): Fault[] => {
    if (issue.code === 'unrecognized_keys') {
      const known = issue.message.split(', ')
      return issue.keys.map((key) => unknownKey([...issue.path, key], key, known, kind))
    }
    if (issue.code === 'invalid_key') {
      return [{ path: issue.path, at: 'key', message: found(issue.path.at(-1), issue.message) }]
    }
    const { path, value } = follow(input, issue.path)
    return [{ path, at: 'value', message: found(value, issue.message, knownNames(issue)) }]
  })
}

/** `found 'fast', expected a duration`, and the nearest of the known names if the value may be a misspelling of it. */
export function found(value: unknown, expected: string, known: readonly string[] = []): string {
  return `found ${show(value)}, expected ${expected}${typeof value === 'string' ? hint(value, known) : ''}`
}

function unknownKey(path: FaultPath, key: string, known: readonly string[], kind: string): Fault {
  const message = `unknown ${kind} ${show(key)}, expected ${oneOf(known)}${hint(key, known)}`
  return { path, at: 'key', message }
}

/** What to expect of a value with a closed list of names. */
export function oneOf(names: readonly PropertyKey[]): string {
  return `one of: ${names.join(', ')}`
}

/** `['routes', 0, 'match']` as `routes[0].match`. */
export function showPath(path: FaultPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    const name = String(key)
    if (!/^[\w-]+$/.test(name)) return `${text}[${JSON.stringify(name)}]`
    return text === '' ? name : `${text}.${name}`
  }, '')
}

/** Whether `path` is `parent` or lies below it. */
export function isWithin(path: FaultPath, parent: FaultPath): boolean {
  return parent.length <= path.length && parent.every((key, index) => String(key) === String(path[index]))
}

// A short form (a target as a bare URL) has no keys: the path ends where the written value ends.
function follow(input: unknown, path: FaultPath): { path: FaultPath; value: unknown } {
  let value = input
  for (const [index, key] of path.entries()) {
    if (typeof value !== 'object' || value === null) return { path: path.slice(0, index), value }
    value = Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined
  }
  return { path, value }
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a mapping'
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'string') return String(value)
  // A password in a URL stays out of the log; the escapes of JSON keep a fault on its line.
  const safe = value.replace(/\/\/.*@/s, '//***@')
  const short = safe.length > 80 ? `${safe.slice(0, 77)}...` : safe
  return `'${JSON.stringify(short).slice(1, -1).replaceAll('\\"', '"')}'`
}

function hint(name: string, known: readonly string[]): string {
  const meant = nearest(name, known)
  return meant === undefined ? '' : ` (did you mean '${meant}'?)`
}

function knownNames(issue: z.core.$ZodIssue): readonly string[] {
  const known: unknown = issue.code === 'custom' ? issue.params?.known : undefined
  return Array.isArray(known) ? known.filter((name) => typeof name === 'string') : []
}
