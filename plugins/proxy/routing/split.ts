/** A share of a route's traffic. */
export interface Share {
  readonly upstream: string
  /** Relative to the other weights; 0 = gets nothing. */
  readonly weight: number
}

/**
 * Chooses among a route's upstreams by weight, independently for each exchange. Without any weight above 0 there is nothing to choose,
 * and the choice is `undefined`.
 */
export function createSplit(shares: readonly Share[], random: () => number): () => string | undefined {
  const names: string[] = []
  const bounds: number[] = []
  let total = 0
  for (const { upstream, weight } of shares) {
    if (weight <= 0) continue
    total += weight
    names.push(upstream)
    bounds.push(total)
  }
  const last = names.length - 1
  const fallback = names[last]
  if (last < 1) return () => fallback

  return () => {
    const draw = random() * total
    for (let i = 0; i < last; i++) {
      const bound = bounds[i]
      if (bound !== undefined && draw < bound) return names[i]
    }
    return fallback
  }
}
