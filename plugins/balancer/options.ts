import { InvalidStrategyError } from '../errors.ts'

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
