/** A share of a route's traffic. */
export interface Share {
  /** Relative to the other weights; 0 = gets nothing. */
  readonly weight: number
}

/**
 * Chooses among shares by weight, independently for each exchange. Without any weight above 0 there is nothing to choose,
 * and the choice is `undefined`.
 */
export function createSplit<T extends Share>(shares: readonly T[], random: () => number): () => T | undefined {
  const chosen = shares.filter(({ weight }) => weight > 0)
  const bounds: number[] = []
  let total = 0
  for (const { weight } of chosen) {
    total += weight
    bounds.push(total)
  }
  const last = chosen.length - 1
  const fallback = chosen[last]
  if (last < 1) return () => fallback

  return () => {
    const draw = random() * total
    for (let i = 0; i < last; i++) {
      const bound = bounds[i]
      if (bound !== undefined && draw < bound) return chosen[i]
    }
    return fallback
  }
}
