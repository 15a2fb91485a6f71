import { InvalidStrategyError } from '../errors.ts'
import { parseDuration } from '../units.ts'

/**
 * Refuses options that a strategy does not know, so that a misspelt one is not passed over in silence.
 * @throws InvalidStrategyError
 */
export function checkOptionNames(
  strategy: string,
  options: Readonly<Record<string, unknown>>,
  known: readonly string[]
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const expected = known.length === 0 ? 'it takes no options' : `expected one of: ${known.join(', ')}`
    throw new InvalidStrategyError(strategy, `unknown option '${name}', ${expected}`)
  }
}

/**
 * Whether the option `compat` asks for what nginx does, where that differs.
 * @throws InvalidStrategyError
 */
export function readCompat(strategy: string, value: unknown): boolean {
  if (value === undefined || value === 'nginx') return value === 'nginx'
  throw new InvalidStrategyError(strategy, `compat must be 'nginx', found ${JSON.stringify(value)}`)
}

/**
 * A number of at least `least`; `otherwise` where it is not given.
 * @throws InvalidStrategyError
 */
export function readNumber(strategy: string, name: string, value: unknown, otherwise: number, least: number): number {
  if (value === undefined) return otherwise
  if (typeof value === 'number' && value >= least && value < Number.POSITIVE_INFINITY) return value
  const found = JSON.stringify(value)
  throw new InvalidStrategyError(strategy, `${name} must be a number of at least ${least}, found ${found}`)
}

/**
 * Milliseconds of an option such as `10s`; `otherwise` where it is not given.
 * @throws InvalidStrategyError
 */
export function readDuration(strategy: string, name: string, value: unknown, otherwise: number): number {
  if (value === undefined) return otherwise
  const milliseconds = parseDuration(value)
  if (milliseconds !== undefined) return milliseconds
  throw new InvalidStrategyError(strategy, `${name} must be a duration such as 10s, found ${JSON.stringify(value)}`)
}
