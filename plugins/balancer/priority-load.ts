/** So many percent of what is needed stand by: a level can do without two targets of seven. */
const OVERPROVISIONING = 140

/** Percent of the traffic that a level with so many healthy targets can take. Envoy's figures, rounding included. */
export function healthOf(healthy: number, total: number): number {
  return total === 0 ? 0 : Math.min(100, Math.floor((OVERPROVISIONING * healthy) / total))
}

/**
 * Percent of the traffic that goes to each level, the first priority first: what the level can take, and no more than is
 * left. Where all together cannot take everything, each gets its part of what they can. Rounding is made up for by the
 * first level that can take anything.
 *
 * @param healths of the levels, see `healthOf`; not all 0
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority
 */
export function loadByHealth(healths: readonly number[]): number[] {
  const total = Math.min(
    100,
    healths.reduce((sum, health) => sum + health, 0)
  )
  let left = 100
  const loads = healths.map((health) => {
    const load = Math.min(left, Math.floor((health * 100) / total))
    left -= load
    return load
  })
  return withRest(loads, left)
}

/** Percent of the traffic that goes to each level by the number of targets: for when none is healthy enough. */
export function loadBySize(sizes: readonly number[]): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0)
  if (total === 0) return sizes.map((_, index) => (index === 0 ? 100 : 0))
  const loads = sizes.map((size) => Math.floor((100 * size) / total))
  const left = loads.reduce((rest, load) => rest - load, 100)
  // Rounding down may leave a level of few targets with nothing, but none of those without targets with something.
  const first = sizes.findIndex((size) => size > 0)
  return loads.map((load, index) => (index === first ? load + left : load))
}

function withRest(loads: readonly number[], rest: number): number[] {
  const first = loads.findIndex((load) => load > 0)
  return loads.map((load, index) => (index === first ? load + rest : load))
}
