import {
  type Balancer,
  createBalancers,
  type Target,
  type TargetOptions,
  type UpstreamOptions
} from '../plugins/balancer/index.ts'

/** A clock that stands still until it is moved. */
export class FakeClock {
  time = 1_000_000
  readonly now = () => this.time
}

/** A source of randomness that gives the drawn numbers in turn, and throws when asked for more. */
export function scripted(draws: readonly number[]): () => number {
  const left = [...draws]
  return () => {
    const draw = left.shift()
    if (draw === undefined) throw new Error('no draw left')
    return draw
  }
}

/** A source of randomness that is the same each time; a generator by the numbers of Numerical Recipes. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Targets as an nginx user would write them: `127.0.0.1:3001 weight=5 max_fails=3 fail_timeout=2s backup`. */
export function readServer(line: string): TargetOptions {
  const [server = '', ...parameters] = line.split(' ')
  const options: TargetOptions = { url: server.startsWith('unix:') ? server : `http://${server}` }
  for (const parameter of parameters) {
    const [name, value = ''] = parameter.split('=')
    if (name === 'weight') options.weight = Number(value)
    else if (name === 'max_fails') options.maxFails = Number(value)
    else if (name === 'max_conns') options.maxConnections = Number(value)
    else if (name === 'fail_timeout') options.failTimeout = Number.parseInt(value, 10) * 1000
    else if (name === 'backup' || name === 'down') options[name] = true
    else throw new Error(`unknown parameter ${parameter}`)
  }
  return options
}

export interface UpstreamSketch {
  strategy: string | { name: string; [option: string]: unknown }
  servers: readonly string[]
  clock?: FakeClock
  random?: () => number
  /** Further options of the upstream. */
  more?: Pick<UpstreamOptions, 'slowStart' | 'panicThreshold' | 'maxConnections'>
}

export function balancerOf({ strategy, servers, clock = new FakeClock(), random, more }: UpstreamSketch): Balancer {
  const upstreams = { test: { strategy, targets: servers.map(readServer), ...more } }
  return createBalancers({ upstreams, now: clock.now, random }).get('test')
}

/** One exchange that goes on to the next target as long as attempts fail; gives the letters of the targets tried. */
export function exchange(balancer: Balancer, isFailing: (target: Target) => boolean, key?: string): string[] {
  const tried: Target[] = []
  for (;;) {
    const target = balancer.get({ key, tried })
    if (target === undefined) return [...tried.map((each) => letterOf(balancer, each)), '502']
    tried.push(target)
    balancer.acquire(target)
    balancer.release(target, isFailing(target) ? 'failure' : 'success')
    if (!isFailing(target)) return tried.map((each) => letterOf(balancer, each))
  }
}

/** The letters of the targets of `count` exchanges none of which ends. */
export function hold(balancer: Balancer, count: number, key?: string): string {
  return Array.from({ length: count }, () => {
    const target = balancer.get({ key, tried: undefined })
    if (target !== undefined) balancer.acquire(target)
    return letterOf(balancer, target)
  }).join(',')
}

/** The letters of the targets of `count` exchanges that succeed one after the other. */
export function sequence(balancer: Balancer, count: number): string {
  return Array.from({ length: count }, () => exchange(balancer, () => false).join('>')).join(',')
}

/** `a` for the first target, `b` for the second; `502` for none. */
export function letterOf(balancer: Balancer, target: Target | undefined): string {
  return target === undefined ? '502' : String.fromCharCode(97 + balancer.targets.indexOf(target))
}

/** Resolves when strategies have done what they do between requests after a change of the list. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
}
