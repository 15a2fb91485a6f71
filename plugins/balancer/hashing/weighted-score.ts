/** The largest number below 1. */
const BELOW_ONE = 1 - 2 ** -53

/** The two words of a hash as one number between 0 and 1: never 0; one hash in 2^53 is rounded to 1. */
export function uniformOf(high: number, low: number): number {
  return ((high >>> 0) + ((low >>> 0) + 0.5) / 2 ** 32) / 2 ** 32
}

/**
 * The score by which the highest of several wins a key, each by a share of the keys that is in proportion to its weight.
 *
 * @param uniform a hash of the key and of what it is scored for, by `uniformOf`
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-bess-weighted-hrw section 3.2
 */
export function weightedScore(weight: number, uniform: number): number {
  return -weight / Math.log(Math.min(uniform, BELOW_ONE))
}
