import { InvalidStrategyError } from '../../errors.ts'
import { checkOptionNames, readDuration } from '../options.ts'
import { AffinityTokens } from '../sticky/affinity-tokens.ts'
import { readCarrier, readSecrets } from '../sticky/sticky-options.ts'
import type { Target } from '../target.ts'
import type {
  Outcome,
  PickContext,
  Strategy,
  StrategyDeps,
  StrategyFactory,
  StrategyNeeds,
  StrategyOptions
} from '../types.ts'

const OPTIONS = ['strategy', 'secret', 'ttl', 'cookie', 'header']

/**
 * Keeps a client with the target that served it first, by a signed token in a cookie or in a header; another strategy
 * chooses that first target, and a new one when it cannot be used.
 */
export const sticky: StrategyFactory = {
  name: 'sticky',
  create(options, deps) {
    checkOptionNames('sticky', options, OPTIONS)
    return new Sticky(options, deps)
  }
}

class Sticky implements Strategy {
  readonly needs: StrategyNeeds
  readonly #inner: Strategy
  readonly #tokens: AffinityTokens
  readonly #now: () => number

  constructor(options: StrategyOptions, deps: StrategyDeps) {
    const secrets = readSecrets(options.secret)
    const ttl = readDuration('sticky', 'ttl', options.ttl, 0)
    this.#now = deps.now
    this.#inner = deps.create(options.strategy)
    this.#tokens = new AffinityTokens({ secrets, scope: deps.upstream, ttl, date: deps.date })
    if (this.#inner.needs?.affinity !== undefined) throw new InvalidStrategyError('sticky', 'strategy is sticky itself')
    this.needs = {
      ...this.#inner.needs,
      affinity: {
        ...readCarrier(options, ttl, deps.upstream),
        lasting: options.secret !== undefined,
        renew: (target, token) => this.#tokens.renew(target, token)
      }
    }
  }

  add(target: Target): void {
    this.#inner.add(target)
    this.#tokens.add(target)
  }

  remove(target: Target): void {
    this.#tokens.remove(target)
    this.#inner.remove(target)
  }

  reweigh(target: Target, previous: number): void {
    this.#inner.reweigh?.(target, previous)
  }

  get(context: PickContext): Target | undefined {
    return this.recall(context) ?? this.#inner.get(context)
  }

  recall(context: PickContext): Target | undefined {
    const { token } = context
    const target = token === undefined ? undefined : this.#tokens.read(token)
    return target?.isAvailableAgain(context, this.#now) ? target : undefined
  }

  ramp(target: Target): void {
    this.#inner.ramp?.(target)
  }

  begin(target: Target): void {
    this.#inner.begin?.(target)
  }

  observe(target: Target, outcome: Outcome, milliseconds: number | undefined): void {
    this.#inner.observe?.(target, outcome, milliseconds)
  }
}
