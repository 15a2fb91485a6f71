/**
 * A deep copy that nothing can change. Lists and plain mappings are copied and frozen; functions and class instances,
 * which may be options of a strategy, are kept as they are.
 */
export function snapshot<T>(value: T): T
export function snapshot(value: unknown): unknown {
  return copy(value, new Map())
}

function copy(value: unknown, copies: Map<unknown, unknown>): unknown {
  const known = copies.get(value)
  if (known !== undefined) return known
  if (Array.isArray(value)) {
    const items: unknown[] = []
    copies.set(value, items)
    for (const item of value) items.push(copy(item, copies))
    return Object.freeze(items)
  }
  if (!isPlain(value)) return value
  const entries: Record<string, unknown> = {}
  copies.set(value, entries)
  for (const [key, item] of Object.entries(value)) entries[key] = copy(item, copies)
  return Object.freeze(entries)
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
