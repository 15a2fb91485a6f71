import { exponential, lognormal, type Random } from './random.ts'

/** Mean time of service, in milliseconds, at a backend that is not slow. */
export const SERVICE = 10

/** What happens to the backends in one run; times are in milliseconds. */
export interface Conditions {
  /** By what factor service at a backend takes longer at a time. */
  slowness(backend: number, time: number): number
  /** Whether a backend answers with an error, in one millisecond, instead of doing anything. */
  fails(backend: number, time: number): boolean
}

export interface Scenario {
  readonly name: string
  readonly title: string
  readonly backends: number
  /** Requests that a backend works on at once; others wait there. */
  readonly workers: number
  readonly gateways: number
  /** Requests that arrive, as a share of those that the backends can do. */
  readonly load: number
  /** Factor by which a backend is always slower; it counts in what the backends can do. @default 1 */
  readonly speed?: (backend: number) => number
  /** A time of service of a backend that is not slow. @default exponential */
  readonly service?: (random: Random) => number
  /** What changes in the course of a run. */
  readonly conditions?: (random: Random, backends: number, duration: number) => Partial<Conditions>
  /** Requests have keys, of which few are frequent. */
  readonly keys?: number
}

export const scenarios: readonly Scenario[] = [
  { name: 'even', title: 'all alike', backends: 10, workers: 4, gateways: 1, load: 0.8 },
  { name: 'even-8', title: 'all alike, 8 gateways', backends: 20, workers: 4, gateways: 8, load: 0.8 },
  { name: 'low', title: 'low load, 16 gateways', backends: 10, workers: 4, gateways: 16, load: 0.15 },
  {
    name: 'slow',
    title: 'one 3x slow',
    backends: 10,
    workers: 4,
    gateways: 1,
    load: 0.7,
    speed: (backend) => (backend === 0 ? 3 : 1)
  },
  {
    name: 'slow-8',
    title: 'one 3x slow, 8 gateways',
    backends: 10,
    workers: 4,
    gateways: 8,
    load: 0.7,
    speed: (backend) => (backend === 0 ? 3 : 1)
  },
  {
    name: 'crawl',
    title: 'one 10x slow',
    backends: 10,
    workers: 4,
    gateways: 1,
    load: 0.6,
    speed: (backend) => (backend === 0 ? 10 : 1)
  },
  {
    name: 'mixed',
    title: 'half 2x slow, uneven requests',
    backends: 20,
    workers: 4,
    gateways: 1,
    load: 0.75,
    speed: (backend) => (backend % 2 === 0 ? 2 : 1),
    service: (random) => lognormal(random, SERVICE, 1)
  },
  {
    name: 'bimodal',
    title: '5 % of requests 21x longer',
    backends: 10,
    workers: 4,
    gateways: 1,
    load: 0.7,
    service: (random) => (random() < 0.05 ? 105 : 5)
  },
  {
    name: 'noisy',
    title: 'noisy neighbours',
    backends: 20,
    workers: 4,
    gateways: 1,
    load: 0.6,
    conditions: neighbours
  },
  {
    name: 'noisy-8',
    title: 'noisy neighbours, 8 gateways',
    backends: 20,
    workers: 4,
    gateways: 8,
    load: 0.6,
    conditions: neighbours
  },
  {
    name: 'noisy-100',
    title: 'noisy neighbours, 100 targets, 16 gateways',
    backends: 100,
    workers: 2,
    gateways: 16,
    load: 0.6,
    conditions: neighbours
  },
  { name: 'stall', title: 'one stalls for 3 s', backends: 10, workers: 4, gateways: 1, load: 0.5, conditions: stall },
  {
    name: 'stall-8',
    title: 'one stalls for 3 s, 8 gateways',
    backends: 10,
    workers: 4,
    gateways: 8,
    load: 0.5,
    conditions: stall
  },
  {
    name: 'fast-errors',
    title: 'one fails at once',
    backends: 10,
    workers: 4,
    gateways: 1,
    load: 0.5,
    conditions: sink
  },
  { name: 'hot-keys', title: 'hot keys', backends: 10, workers: 4, gateways: 1, load: 0.7, keys: 1_000 }
]

/** Every backend is 4x slow for a second or so, every six seconds or so. */
function neighbours(random: Random, backends: number, duration: number): Partial<Conditions> {
  const spells = Array.from({ length: backends }, () => {
    const list: [from: number, to: number][] = []
    for (let time = exponential(random, 5_000); time < duration; ) {
      const end = time + exponential(random, 1_000)
      list.push([time, end])
      time = end + exponential(random, 5_000)
    }
    return list
  })
  return {
    slowness: (backend, time) => (spells[backend]?.some(([from, to]) => from <= time && time < to) ? 4 : 1)
  }
}

function stall(): Partial<Conditions> {
  return { slowness: (backend, time) => (backend === 0 && time >= 6_000 && time < 9_000 ? 400 : 1) }
}

function sink(): Partial<Conditions> {
  return { fails: (backend, time) => backend === 0 && time >= 3_000 }
}
