import { InvalidConfigError } from '../errors.ts'
import type { UpstreamOptions } from './registry.ts'

interface Rule {
  readonly expected: string
  holds(value: number): boolean
}

const SHARE: Rule = { expected: 'a number from 0 to 1', holds: (value) => value >= 0 && value <= 1 }
const SLOW_START: Readonly<Record<string, Rule>> = {
  window: { expected: 'milliseconds, 0 or more', holds: (value) => value >= 0 },
  aggression: { expected: 'a number, more than 0', holds: (value) => value > 0 },
  minWeight: SHARE
}
const MAX_CONNECTIONS: Rule = {
  expected: 'an integer, 0 or more',
  holds: (value) => Number.isSafeInteger(value) && value >= 0
}

/**
 * Refuses numbers that an upstream cannot work with. Where they come from a configuration, its schema has done so before.
 * @throws InvalidConfigError
 */
export function checkUpstream(name: string, options: UpstreamOptions): void {
  const { slowStart = {}, panicThreshold, maxConnections } = options
  const faults = [faultOf('panicThreshold', panicThreshold, SHARE)]
  faults.push(faultOf('maxConnections', maxConnections, MAX_CONNECTIONS))
  if (typeof slowStart !== 'object' || slowStart === null) {
    faults.push(`slowStart: found ${JSON.stringify(slowStart)}, expected a mapping`)
  } else {
    for (const [key, value] of Object.entries(slowStart))
      faults.push(faultOf(`slowStart.${key}`, value, SLOW_START[key]))
  }
  const lines = faults.filter((fault) => fault !== undefined).map((fault) => `upstreams.${name}.${fault}`)
  if (lines.length > 0) throw new InvalidConfigError(lines.join('\n'))
}

function faultOf(path: string, value: unknown, rule: Rule | undefined): string | undefined {
  if (rule === undefined) return `${path}: unknown key, expected one of: ${Object.keys(SLOW_START).join(', ')}`
  if (value === undefined || (typeof value === 'number' && Number.isFinite(value) && rule.holds(value)))
    return undefined
  const found = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return `${path}: found ${found}, expected ${rule.expected}`
}
