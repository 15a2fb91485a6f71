/** Fewer targets than this do not tell what is usual. */
const MIN_TARGETS = 5

/**
 * The success rate below which a target is an outlier among its peers: the mean less so many standard deviations.
 * Undefined where there are too few rates to tell.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier#success-rate
 */
export function outlierThreshold(rates: readonly number[], deviations: number): number | undefined {
  if (rates.length < MIN_TARGETS) return undefined
  const mean = sum(rates) / rates.length
  const variance = sum(rates.map((rate) => (rate - mean) ** 2)) / rates.length
  return mean - deviations * Math.sqrt(variance)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
