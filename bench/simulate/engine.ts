import { type Balancer, createBalancers, type StrategyChoice, type Target } from '../../plugins/balancer/index.ts'
import { type Event, EventQueue } from './event-queue.ts'
import { createRandom, createZipf, exponential, type Random } from './random.ts'
import { type Conditions, type Scenario, SERVICE } from './scenarios.ts'

/** Milliseconds before what happens counts. */
const WARM_UP = 2_000
const ERROR_TIME = 1

export interface SimulationOptions {
  readonly scenario: Scenario
  readonly strategy: StrategyChoice
  readonly seed: number
  /** Milliseconds in which requests arrive. */
  readonly duration: number
}

export interface SimulationResult {
  /** Milliseconds from arrival to answer. */
  readonly latencies: Float64Array
  /** Share of the answers that are errors. */
  readonly errors: number
  /** Share of the requests that the busiest backend got. */
  readonly largestShare: number
  /** Share of the requests that went where most requests with the same key went; 1 where there are no keys. */
  readonly affinity: number
}

interface Job {
  readonly balancer: Balancer
  readonly target: Target
  readonly arrived: number
  readonly work: number
  readonly key: string | undefined
  failed: boolean
}

interface Happening extends Event {
  /** The job that is done, or undefined: another request arrives. */
  readonly job: Job | undefined
  readonly backend: Backend | undefined
}

interface Backend {
  readonly index: number
  busy: number
  readonly waiting: Job[]
  /** Requests that counted, and those with each key. */
  served: number
  readonly keys: Map<string, number>
}

/**
 * Gateways, each with a balancer and a view of its own, in front of backends, each with some workers and a queue: requests
 * arrive at random, wait for a worker, and take their time. There is no network between them.
 */
export class Simulation {
  #time = 0
  readonly #options: SimulationOptions
  readonly #conditions: Conditions
  readonly #events = new EventQueue<Happening>()
  readonly #balancers: Balancer[]
  readonly #backends = new Map<string, Backend>()
  /** Streams of their own, so that every strategy meets the same requests. */
  readonly #arrivals: Random
  readonly #services: Random
  readonly #gateways: Random
  readonly #nextKey: (() => number) | undefined
  readonly #interval: number
  readonly #latencies: number[] = []
  #errors = 0

  constructor(options: SimulationOptions) {
    const { scenario, seed, duration } = options
    const { backends, keys, load, speed = () => 1, workers } = scenario
    this.#options = options
    const changing = scenario.conditions?.(createRandom(seed, 1), backends, duration) ?? {}
    this.#conditions = {
      slowness: (backend, time) => speed(backend) * (changing.slowness?.(backend, time) ?? 1),
      fails: (backend, time) => changing.fails?.(backend, time) ?? false
    }
    this.#arrivals = createRandom(seed, 2)
    this.#services = createRandom(seed, 3)
    this.#gateways = createRandom(seed, 4)
    this.#nextKey = keys === undefined ? undefined : createZipf(createRandom(seed, 5), keys)

    let capacity = 0
    for (let index = 0; index < backends; index++) {
      capacity += workers / (SERVICE * speed(index))
      this.#backends.set(urlOf(index), { index, busy: 0, waiting: [], served: 0, keys: new Map() })
    }
    this.#interval = 1 / (capacity * load)
    this.#balancers = Array.from({ length: scenario.gateways }, (_, gateway) => this.#createBalancer(gateway))
  }

  run(): SimulationResult {
    this.#events.push({ time: 0, job: undefined, backend: undefined })
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      this.#time = event.time
      if (event.job !== undefined && event.backend !== undefined) this.#finish(event.job, event.backend)
      else this.#arrive()
    }
    const latencies = Float64Array.from(this.#latencies)
    const backends = [...this.#backends.values()]
    const largest = Math.max(...backends.map(({ served }) => served))
    return {
      latencies,
      errors: this.#errors / latencies.length,
      largestShare: largest / latencies.length,
      affinity: this.#nextKey === undefined ? 1 : countAtHome(backends) / latencies.length
    }
  }

  #createBalancer(gateway: number): Balancer {
    const { scenario, strategy, seed } = this.#options
    const targets = Array.from({ length: scenario.backends }, (_, index) => ({ url: urlOf(index), maxFails: 0 }))
    const upstreams = { simulated: { strategy, targets } }
    const random = createRandom(seed, 100 + gateway)
    return createBalancers({ upstreams, random, now: () => this.#time, date: () => this.#time }).get('simulated')
  }

  #arrive(): void {
    const time = this.#time + exponential(this.#arrivals, this.#interval)
    if (time < this.#options.duration) this.#events.push({ time, job: undefined, backend: undefined })

    const balancer = this.#balancers[Math.floor(this.#gateways() * this.#balancers.length)]
    const key = this.#nextKey === undefined ? undefined : `key-${this.#nextKey()}`
    const target = balancer?.get({ key, tried: undefined })
    const backend = this.#backends.get(target?.url ?? '')
    if (balancer === undefined || target === undefined || backend === undefined) throw new Error('no target')
    balancer.acquire(target)
    const { service = (random: Random) => exponential(random, SERVICE) } = this.#options.scenario
    const job = { balancer, target, arrived: this.#time, work: service(this.#services), key, failed: false }
    if (backend.busy < this.#options.scenario.workers) this.#begin(job, backend)
    else backend.waiting.push(job)
  }

  #begin(job: Job, backend: Backend): void {
    backend.busy++
    job.failed = this.#conditions.fails(backend.index, this.#time)
    const work = job.failed ? ERROR_TIME : job.work * this.#conditions.slowness(backend.index, this.#time)
    this.#events.push({ time: this.#time + work, job, backend })
  }

  #finish(job: Job, backend: Backend): void {
    const latency = this.#time - job.arrived
    job.balancer.release(job.target, job.failed ? 'error' : 'success', latency)
    if (job.arrived >= WARM_UP) {
      this.#latencies.push(latency)
      if (job.failed) this.#errors++
      backend.served++
      if (job.key !== undefined) backend.keys.set(job.key, (backend.keys.get(job.key) ?? 0) + 1)
    }
    backend.busy--
    const next = backend.waiting.shift()
    if (next !== undefined) this.#begin(next, backend)
  }
}

/** The runs of several seeds as one. */
export function simulate(options: Omit<SimulationOptions, 'seed'>, seeds: readonly number[]): SimulationResult {
  const results = seeds.map((seed) => new Simulation({ ...options, seed }).run())
  const latencies = Float64Array.from(results.flatMap((result) => [...result.latencies]))
  const weighted = (pick: (result: SimulationResult) => number) =>
    results.reduce((sum, result) => sum + pick(result) * result.latencies.length, 0) / latencies.length
  return {
    latencies,
    errors: weighted(({ errors }) => errors),
    largestShare: weighted(({ largestShare }) => largestShare),
    affinity: weighted(({ affinity }) => affinity)
  }
}

/** The requests that each key's most frequent backend got, all keys together. */
function countAtHome(backends: readonly Backend[]): number {
  const most = new Map<string, number>()
  for (const { keys } of backends) {
    for (const [key, count] of keys) most.set(key, Math.max(count, most.get(key) ?? 0))
  }
  return [...most.values()].reduce((sum, count) => sum + count, 0)
}

function urlOf(index: number): string {
  return `http://10.0.${index >> 8}.${index & 255}:80`
}
