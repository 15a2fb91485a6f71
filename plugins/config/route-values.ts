import { isIPv6 } from 'node:net'
import { oneOf } from './faults.ts'
import { leaf, pattern, TOKEN, text } from './values.ts'

/** A path as it is matched. A prefix is by whole segments and has no slash at the end, unless it is `/`. */
export type PathMatch = { kind: 'exact' | 'prefix' | 'regex'; value: string }

/** A header or query parameter to match; header names are in lower case. `present` has the value `''`. */
export type ValueMatch = { name: string; kind: 'exact' | 'regex' | 'present'; value: string }

const REDIRECT_STATUSES = [301, 302, 303, 307, 308] as const
type RedirectStatus = (typeof REDIRECT_STATUSES)[number]

type Scalar = string | number | boolean

const HOST_LABELS = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/
const HOST_HEADER = /^(?:([\w.-]+)|\[([\da-f:.]+)\])(?::(\d{1,5}))?$/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what a path must not hold.
const PATH = /^\/[^\x00-\x20\x7f?#\\]*$/

export function pathMatch() {
  return leaf<string | { regex: string }, PathMatch>({
    type: 'path, or `{ regex }`',
    expected: "a path such as /users or /users/* ('*' only as the last segment), or { regex: ... }",
    blame: blameRegex,
    parse: (value) => {
      if (typeof value === 'string') return parsePath(value)
      const regex = onlyKey(value, 'regex')
      return isPattern(regex) ? { kind: 'regex', value: regex } : undefined
    }
  })
}

function parsePath(path: string): PathMatch | undefined {
  if (!PATH.test(path) || path.endsWith('//*')) return undefined
  if (!path.includes('*')) return { kind: 'exact', value: path }
  const prefix = path.slice(0, -2)
  if (!path.endsWith('/*') || prefix.includes('*')) return undefined
  return { kind: 'prefix', value: prefix === '' ? '/' : prefix }
}

export function valueMatch() {
  return leaf<Scalar | { regex: string } | { present: true }, Omit<ValueMatch, 'name'>>({
    type: 'value, `{ regex }` or `{ present: true }`',
    expected: 'a value, { regex: ... } or { present: true }',
    blame: blameRegex,
    parse: (value) => {
      const exact = toText(value)
      if (exact !== undefined) return { kind: 'exact', value: exact }
      if (onlyKey(value, 'present') === true) return { kind: 'present', value: '' }
      const regex = onlyKey(value, 'regex')
      return isPattern(regex) ? { kind: 'regex', value: regex } : undefined
    }
  })
}

export function ruleValues() {
  return leaf<Scalar | readonly Scalar[], string[]>({
    type: 'value or list of values',
    expected: 'a string, number or boolean without line breaks, or a list of them',
    parse: (value) => {
      const texts = (Array.isArray(value) ? value : [value]).map(toText)
      return texts.length > 0 && texts.every((item) => item !== undefined) ? texts : undefined
    }
  })
}

function toText(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  // RFC 9110, section 5.5: CR, LF and NUL are invalid and dangerous in a field value.
  return typeof value === 'string' && !/[\r\n\0]/.test(value) ? value : undefined
}

export function host() {
  return leaf<string, string>({
    type: 'host name',
    expected: 'a host name such as api.example.com or *.example.com, without port',
    parse: parseHostName
  })
}

export function exactHost() {
  return leaf<string, string>({
    type: 'host name',
    expected: 'a host name such as api.example.com, without port',
    parse: (value) => {
      const parsed = parseHostName(value)
      return parsed?.startsWith('*') ? undefined : parsed
    }
  })
}

function parseHostName(value: unknown): string | undefined {
  const lower = typeof value === 'string' ? value.toLowerCase() : ''
  return HOST_LABELS.test(lower) || (/^\[.*\]$/.test(lower) && isIPv6(lower.slice(1, -1))) ? lower : undefined
}

export function port() {
  return leaf<number, number>({
    type: 'whole number',
    expected: 'a port from 1 to 65535',
    parse: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535 ? value : undefined
  })
}

export function redirectStatus() {
  return leaf<RedirectStatus, RedirectStatus>({
    type: '`301`, `302`, `303`, `307`, `308`',
    expected: oneOf(REDIRECT_STATUSES.map(String)),
    parse: (value) => REDIRECT_STATUSES.find((known) => known === value)
  })
}

/** The Host header for a target. */
export function hostHeader() {
  return leaf<string, string>({
    type: '`preserve`, `target`, host',
    expected: 'preserve, target or a host name such as api.example.com:8080',
    parse: (value) => (typeof value === 'string' && isHostHeader(value) ? value : undefined)
  })
}

function isHostHeader(value: string): boolean {
  const [, name, address, port = '0'] = HOST_HEADER.exec(value) ?? []
  return (name !== undefined || (address !== undefined && isIPv6(address))) && Number(port) <= 65_535
}

export function method() {
  return leaf<string, string>({
    type: 'method',
    expected: 'a request method such as GET',
    parse: (value) => (typeof value === 'string' && TOKEN.test(value) ? value.toUpperCase() : undefined)
  })
}

export function pathText() {
  return text("a path that starts with '/', without query", PATH, 'path')
}

/** The value of a key, in a mapping that has no other. */
export function onlyKey(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.keys(value).length === 1 ? Reflect.get(value, key) : undefined
}

/** Where the fault is of a `{ regex }` that is refused. */
export function blameRegex(value: unknown) {
  return typeof onlyKey(value, 'regex') === 'string' ? { path: ['regex'], expected: 'a regular expression' } : undefined
}

function isPattern(source: unknown): source is string {
  return pattern().safeParse(source).success
}
