import type { HeaderRules } from '../../config/index.ts'

/** Changes a flat list `[name, value, name, value, ...]` into a new one. */
export type HeaderEdit = (pairs: readonly string[]) => string[]

/**
 * Compiles header rules; `undefined` if there are none. Names are compared without regard to case. Per header: `remove`,
 * then `set` (in the place of the first one, or at the end), then `add` (at the end); everything else keeps its bytes and
 * its place.
 */
export function compileHeaderRules(rules: HeaderRules): HeaderEdit | undefined {
  if (rules.set.length === 0 && rules.add.length === 0 && rules.remove.length === 0) return undefined

  const set = groupPairs(rules.set)
  const removed = new Set(rules.remove.map((name) => name.toLowerCase()))
  const added = rules.add.flat()
  // Most headers are in no rule; their length says so without lower-casing them.
  const lengths = new Set([...removed, ...set.keys()].map((name) => name.length))

  return (pairs) => {
    const result: string[] = []
    let placed: Set<string> | undefined
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const name = pairs[i] ?? ''
      const key = lengths.has(name.length) ? name.toLowerCase() : ''
      if (removed.has(key)) continue
      const values = set.get(key)
      if (values === undefined) {
        result.push(name, pairs[i + 1] ?? '')
      } else if (!placed?.has(key)) {
        placed = (placed ?? new Set()).add(key)
        result.push(...values)
      }
    }
    for (const [key, values] of set) if (!placed?.has(key)) result.push(...values)
    result.push(...added)
    return result
  }
}

/** Flat pairs by lower-case name, for rules that set one name to several values. */
function groupPairs(pairs: HeaderRules['set']): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const [name, value] of pairs) {
    const key = name.toLowerCase()
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [name, value])
    else group.push(name, value)
  }
  return groups
}
