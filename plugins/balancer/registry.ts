import {
  DuplicateStrategyError,
  DuplicateUpstreamError,
  InvalidStrategyError,
  UnknownStrategyError,
  UnknownUpstreamError
} from '../errors.ts'
import { Balancer } from './balancer.ts'
import type { SlowStartOptions } from './slow-start.ts'
import { builtInStrategies } from './strategies/index.ts'
import type { TargetOptions } from './target.ts'
import type { Strategy, StrategyDeps, StrategyFactory, StrategyOptions } from './types.ts'
import { checkUpstream } from './upstream-options.ts'

/** A strategy's name; or its name beside its options; or its name and its options apart. */
export type StrategyChoice =
  | string
  | { readonly name: string; readonly options?: Readonly<Record<string, unknown>> }
  | { readonly name: string; readonly [option: string]: unknown }

/** What the balancer needs to know of an upstream; a parsed `UpstreamConfig` is one. */
export interface UpstreamOptions {
  /** @default 'round-robin' */
  readonly strategy?: StrategyChoice | undefined
  /** Targets, or just their URLs. @default [] */
  readonly targets?: readonly (string | TargetOptions)[] | undefined
  /** How targets take up their work that join at run time, or return. @default at once */
  readonly slowStart?: SlowStartOptions | undefined
  /** Share of fit targets below which unhealthy and ejected ones are picked as well; 0 = never. @default 0.5 */
  readonly panicThreshold?: number | undefined
  /** Most attempts in flight at once at all targets together; 0 means any number. @default 0 */
  readonly maxConnections?: number | undefined
}

const DEFAULT_STRATEGY = 'round-robin'

/** The strategies by name: the built-in ones, and those that are added. */
export class StrategyRegistry {
  readonly #factories = new Map<string, StrategyFactory>()

  constructor() {
    for (const factory of builtInStrategies) this.add(factory)
  }

  get names(): string[] {
    return [...this.#factories.keys()]
  }

  /** @throws InvalidStrategyError, DuplicateStrategyError */
  add(factory: StrategyFactory): void {
    if (typeof factory?.name !== 'string' || factory.name === '') {
      throw new InvalidStrategyError(String(factory?.name), 'its name must be a string that is not empty')
    }
    if (typeof factory.create !== 'function') throw new InvalidStrategyError(factory.name, 'it has no create()')
    if (this.#factories.has(factory.name)) throw new DuplicateStrategyError(factory.name)
    this.#factories.set(factory.name, factory)
  }

  /** @throws UnknownStrategyError */
  get(name: string): StrategyFactory {
    const factory = this.#factories.get(name)
    if (factory === undefined) throw new UnknownStrategyError(name, this.names.join(', '))
    return factory
  }
}

/** What the balancers of all upstreams have in common. */
export type BalancerDeps = Pick<StrategyDeps, 'now' | 'random' | 'date'>

/** The balancers of all upstreams, by name. */
export class BalancerRegistry {
  readonly strategies = new StrategyRegistry()
  readonly #balancers = new Map<string, Balancer>()
  readonly #deps: BalancerDeps

  constructor(deps: BalancerDeps) {
    this.#deps = deps
  }

  get names(): string[] {
    return [...this.#balancers.keys()]
  }

  has(name: string): boolean {
    return this.#balancers.has(name)
  }

  /**
   * @throws DuplicateUpstreamError, InvalidConfigError, UnknownStrategyError, InvalidStrategyError, InvalidTargetError,
   * DuplicateTargetError
   */
  add(name: string, options: UpstreamOptions): Balancer {
    if (this.#balancers.has(name)) throw new DuplicateUpstreamError(name)
    checkUpstream(name, options)
    const { strategy, targets = [], slowStart, panicThreshold, maxConnections } = options

    const deps: StrategyDeps = {
      ...this.#deps,
      upstream: name,
      create: (choice) => create(this.strategies, choice, deps)
    }
    const { now, random } = this.#deps
    const createStrategy = () => deps.create(strategy)
    const setup = { createStrategy, targets, now, random, slowStart, panicThreshold, maxConnections }
    const balancer = new Balancer(name, setup)
    this.#balancers.set(name, balancer)
    return balancer
  }

  /** Has every upstream begin at a random point of its turn, so that processes of one kind do not march in step. */
  startAnywhere(): void {
    for (const balancer of this.#balancers.values()) balancer.startAnywhere(this.#deps.random)
  }

  /** @throws UnknownUpstreamError */
  get(name: string): Balancer {
    const balancer = this.#balancers.get(name)
    if (balancer === undefined) throw new UnknownUpstreamError(name, this.names.join(', ') || '(none)')
    return balancer
  }
}

function create(strategies: StrategyRegistry, choice: unknown, deps: StrategyDeps): Strategy {
  const { name, options } = readChoice(choice)
  const strategy = strategies.get(name).create(options, deps)
  for (const method of ['add', 'remove', 'get'] as const) {
    if (typeof strategy?.[method] !== 'function') {
      throw new InvalidStrategyError(name, `what create() returns has no ${method}()`)
    }
  }
  return strategy
}

function readChoice(choice: unknown): { name: string; options: StrategyOptions } {
  if (choice === undefined) return { name: DEFAULT_STRATEGY, options: {} }
  if (typeof choice === 'string') return { name: choice, options: {} }
  const { name, ...options } = isRecord(choice) ? choice : {}
  if (typeof name !== 'string') {
    throw new InvalidStrategyError(String(name), 'a strategy is a name, or a mapping of a name and options')
  }
  return { name, options: isRecord(options.options) ? options.options : options }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
