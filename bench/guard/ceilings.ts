/** What a request of one case may cost at most. Names are those of async_hooks and of EventEmitter. */
export type Ceilings = Readonly<Record<string, number>>

/** By name of the case. What has no ceiling must not happen: promises, for one. */
export type CeilingsByCase = Readonly<Record<string, Ceilings>>

/** Node.js itself has a part in all figures. */
const SAME = { removeListener: 3, Immediate: 3, Timeout: 1 }

const NODE_20: CeilingsByCase = {
  GET: { ...SAME, on: 6, TickObject: 10, bytes: 28_500 },
  POST: { ...SAME, on: 9, TickObject: 10, 'content-type-parser:run': 1, bytes: 32_300 },
  'GET through ten layers': { ...SAME, on: 7, TickObject: 10, bytes: 29_500 }
}

const NODE_24: CeilingsByCase = {
  GET: { ...SAME, on: 6, TickObject: 8, bytes: 23_000 },
  POST: { ...SAME, on: 9, TickObject: 8, 'content-type-parser:run': 1, bytes: 26_300 },
  'GET through ten layers': { ...SAME, on: 7, TickObject: 8, bytes: 23_950 }
}

/** Those of this line of Node.js, or else of the one that is more like it. */
export function ceilingsFor(version: string): CeilingsByCase {
  return Number.parseInt(version, 10) < 24 ? NODE_20 : NODE_24
}

/** Counts are exact, but for what happens on the side and not for a request, such as the ticks of a coarse timer. */
const SIDE = 0.05

export interface Finding {
  readonly figure: string
  readonly value: number
  readonly ceiling: number
  readonly passed: boolean
}

/** Each figure beside its ceiling. */
export function check(figures: ReadonlyMap<string, number>, ceilings: Ceilings): Finding[] {
  return [...figures].map(([figure, value]) => {
    const ceiling = ceilings[figure] ?? 0
    return { figure, value, ceiling, passed: value <= ceiling + SIDE }
  })
}
