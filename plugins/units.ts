const DURATION = /^(\d+)(ms|s|m|h)?$/
const SIZE = /^(\d+)(b|kb|mb|gb)?$/i

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const BYTES: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }

// A Node timer with a longer delay fires at once.
const LONGEST_TIMER = 2 ** 31 - 1

/** Milliseconds of `250ms`, `10s`, `5m`, `1h` or a whole number of milliseconds; `undefined` if it is none of them. */
export function parseDuration(value: unknown): number | undefined {
  return parseQuantity(value, DURATION, MILLISECONDS, LONGEST_TIMER)
}

/**
 * Bytes of `512b`, `64kb`, `1mb`, `1gb` (powers of 1024, any case) or a whole number of bytes; `undefined` if it is none
 * of them.
 */
export function parseSize(value: unknown): number | undefined {
  return parseQuantity(value, SIZE, BYTES, Number.MAX_SAFE_INTEGER)
}

function parseQuantity(
  value: unknown,
  pattern: RegExp,
  units: Readonly<Record<string, number>>,
  max: number
): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  const found = pattern.exec(String(value))
  if (found === null) return undefined
  const factor = found[2] === undefined ? 1 : units[found[2].toLowerCase()]
  const quantity = Number(found[1]) * (factor ?? Number.NaN)
  return quantity <= max ? quantity : undefined
}
