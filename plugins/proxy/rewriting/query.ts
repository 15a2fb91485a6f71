import { unescape as unescapePercent } from 'node:querystring'
import type { HeaderRules } from '../../config/index.ts'

/** Changes a raw query (with its leading `?`, or empty) into another. */
export type QueryEdit = (query: string) => string

/**
 * The value of the first parameter of that name in a raw query, decoded; `undefined` if there is none. A parameter
 * without `=` has the value `''`.
 */
export function firstQueryValue(query: string, name: string): string | undefined {
  for (let start = 1, end = 0; start < query.length; start = end + 1) {
    end = endOfParameter(query, start)
    const equals = equalsSign(query, start, end)
    if (decode(query.slice(start, equals)) === name) return decode(query.slice(equals + 1, end))
  }
  return undefined
}

/**
 * Compiles query rules; `undefined` if there are none. Names are compared decoded. Per parameter: `remove`, then `set` (in
 * the place of the first one, or at the end), then `add` (at the end). Untouched parameters keep their bytes and their
 * order, and a query without parameters loses its `?`.
 */
export function compileQueryRules(rules: HeaderRules): QueryEdit | undefined {
  if (rules.set.length === 0 && rules.add.length === 0 && rules.remove.length === 0) return undefined

  const set = new Map<string, string>()
  for (const [name, value] of rules.set) {
    const earlier = set.get(name)
    set.set(name, earlier === undefined ? encode(name, value) : `${earlier}&${encode(name, value)}`)
  }
  const removed = new Set(rules.remove)
  const added = rules.add.map(([name, value]) => encode(name, value)).join('&')

  return (query) => {
    const parameters: string[] = []
    let placed: Set<string> | undefined
    for (let start = 1, end = 0; start < query.length; start = end + 1) {
      end = endOfParameter(query, start)
      const name = decode(query.slice(start, equalsSign(query, start, end)))
      if (removed.has(name)) continue
      const replacement = set.get(name)
      if (replacement === undefined) {
        parameters.push(query.slice(start, end))
      } else if (!placed?.has(name)) {
        placed = (placed ?? new Set()).add(name)
        parameters.push(replacement)
      }
    }
    for (const [name, replacement] of set) if (!placed?.has(name)) parameters.push(replacement)
    if (added !== '') parameters.push(added)
    return parameters.length === 0 ? '' : `?${parameters.join('&')}`
  }
}

function encode(name: string, value: string): string {
  return `${encodeURIComponent(name)}=${encodeURIComponent(value)}`
}

function endOfParameter(query: string, start: number): number {
  const end = query.indexOf('&', start)
  return end === -1 ? query.length : end
}

function equalsSign(query: string, start: number, end: number): number {
  // A search for '=' by indexOf would run past the end, again for each of many parameters without one.
  for (let i = start; i < end; i++) {
    if (query.charCodeAt(i) === 0x3d) return i
  }
  return end
}

// Lenient where the query is malformed: nothing here may turn a client's mistake into a 500.
function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  return spaced.includes('%') ? unescapePercent(spaced) : spaced
}
