import { DuplicateTargetError } from '../errors.ts'
import type { BalancerSetup } from './balancer-setup.ts'
import { FailureWindows } from './failure-windows.ts'
import type { BalancerObserver, Gate, LevelState } from './observer.ts'
import { PriorityLevels } from './priority-levels.ts'
import { SlowStart } from './slow-start.ts'
import { checkWeight, Target, type TargetOptions } from './target.ts'
import type { GroupOwner, TargetGroup } from './target-group.ts'
import { TargetList } from './target-list.ts'
import { NO_CONTEXT, NO_NEEDS, type Outcome, type PickContext, type Strategy, type StrategyNeeds } from './types.ts'

/** Choices at the most that are passed over at the start. */
const LONGEST_START = 4_096

const PANIC_THRESHOLD = 0.5

/**
 * The live object of one upstream: its targets, their state, and the strategy that chooses among them.
 * Limits are kept as nginx keeps them.
 *
 * An attempt is `get`, `acquire`, and exactly one `release`.
 *
 * @see https://nginx.org/en/docs/http/ngx_http_upstream_module.html#server
 */
export class Balancer {
  readonly name: string
  /** What the strategy asks of whoever sends the requests. */
  readonly needs: StrategyNeeds
  /** Most attempts in flight at once at all targets together; 0 means any number. */
  readonly maxConnections: number
  /** Whether `release` is to be told how long attempts took. */
  measures: boolean
  /** Asked before an exchange gets its first target; undefined = all may pass. */
  gate: Gate | undefined = undefined
  /** Requests that were turned away so far because nothing had room for them, the queue included. */
  overflows = 0
  readonly #now: () => number
  readonly #observers: BalancerObserver[] = []
  readonly #targets = new TargetList()
  readonly #levels: PriorityLevels
  readonly #slowStart: SlowStart
  readonly #failures: FailureWindows

  /** @throws InvalidStrategyError, InvalidTargetError, DuplicateTargetError */
  constructor(name: string, setup: BalancerSetup) {
    const { createStrategy, targets, now, random, slowStart = {}, panicThreshold, maxConnections = 0 } = setup
    this.name = name
    this.maxConnections = maxConnections
    this.#now = now
    this.#slowStart = new SlowStart(slowStart, now, (target) => this.#onRamp(target))
    this.#failures = new FailureWindows(now, {
      onOut: () => this.#reassess(),
      onBack: (target) => this.#onBack(target)
    })
    const owner: GroupOwner = {
      onReturn: (target) => this.#slowStart.begin(target),
      onLeave: (target) => this.#slowStart.end(target),
      assess: () => this.#levels.assess(),
      announce: () => this.#levels.announce()
    }
    this.#levels = new PriorityLevels({
      createStrategy,
      observers: this.#observers,
      owner,
      now,
      random,
      panicThreshold: panicThreshold ?? PANIC_THRESHOLD
    })
    this.needs = this.#levels.backups.strategy.needs ?? NO_NEEDS
    this.measures = this.needs.latency === true
    for (const target of targets) this.#join(target)
    this.#levels.assess()
  }

  /** The targets in the order they were added; a new array after each change. */
  get targets(): readonly Target[] {
    return this.#targets.all
  }

  /** The priorities, the first one first, and the backups at the end. */
  get levels(): readonly LevelState[] {
    return this.#levels.all
  }

  /** Has an observer told of what happens from now on. */
  observe(observer: BalancerObserver): void {
    this.#observers.push(observer)
    if (observer.latency === true) this.measures = true
  }

  /**
   * Has a target join, at the end of the list. It starts slowly where the upstream has a slow start, unless told otherwise.
   * @throws InvalidTargetError, DuplicateTargetError
   */
  add(options: string | TargetOptions, { slowStart = true }: { readonly slowStart?: boolean } = {}): Target {
    const target = this.#join(options)
    for (const observer of this.#observers) observer.onJoin?.(target)
    this.#levels.assess()
    for (const observer of this.#observers) observer.onAdd?.(target)
    if (slowStart && !target.isObstructed) this.#slowStart.begin(target)
    this.#levels.announce()
    return target
  }

  /** Takes a target out; attempts under way may end in peace. False when no target has that URL. */
  remove(url: string): boolean {
    const target = this.find(url)
    if (target === undefined) return false

    const level = this.#levels.of(target)
    this.#slowStart.end(target)
    target.removed = true
    target.group.inFlight -= target.inFlight
    level.targets.delete(target)
    level.strategy.remove(target)
    this.#targets.remove(target)
    this.#levels.assess()
    for (const observer of this.#observers) observer.onRemove?.(target)
    this.#levels.announce()
    return true
  }

  /**
   * Changes a target's share of the traffic, and nothing else: what is under way, what the others are owed, and the
   * keys that need not move stay as they are. 0 means never picked. False when no target has that URL.
   *
   * @throws InvalidTargetError
   */
  setWeight(url: string, weight: number): boolean {
    checkWeight(url, weight)
    const target = this.find(url)
    if (target === undefined) return false
    const previous = target.weight
    if (weight === previous) return true

    target.weight = weight
    try {
      this.#strategyOf(target).reweigh?.(target, previous)
    } catch (error) {
      target.weight = previous
      throw error
    }
    target.group.report(target, 'weight')
    return true
  }

  /**
   * Lets a target serve those clients on that are known to belong to it, and nobody else; attempts under way end in peace.
   * False when no target has that URL.
   */
  drain(url: string): boolean {
    return this.#setDraining(url, true)
  }

  /** Ends `drain`. False when no target has that URL. */
  undrain(url: string): boolean {
    return this.#setDraining(url, false)
  }

  /**
   * Takes a target out for maintenance, or puts it back. It keeps its place in hash rings and tables; attempts under way
   * end in peace. False when no target has that URL.
   */
  setDown(url: string, down: boolean): boolean {
    const target = this.find(url)
    target?.set('down', down)
    return target !== undefined
  }

  /** The target of a URL. */
  find(url: string): Target | undefined {
    return this.#targets.find(url)
  }

  /** Whether as many attempts are in flight at all targets together as may be. */
  get isFull(): boolean {
    return this.maxConnections > 0 && this.#levels.inFlight >= this.maxConnections
  }

  /** Gives a target that has just returned its weight back little by little, over so many milliseconds. */
  ramp(target: Target, milliseconds: number): void {
    if (!target.removed && !target.isObstructed) this.#slowStart.begin(target, milliseconds)
  }

  /** The target for the next attempt: a primary, else a backup, else undefined. */
  get(context: PickContext = NO_CONTEXT): Target | undefined {
    if (this.isFull) return undefined
    // The only target is used whatever its failures, for there is no better choice.
    const { single } = this.#targets
    if (single !== undefined && !single.draining) return single.isOpen(context) ? single : undefined

    if (this.#levels.staleAt !== Number.POSITIVE_INFINITY && this.#now() > this.#levels.staleAt) this.#reassess()
    if (this.#slowStart.isUnderWay) this.#slowStart.advance()
    const target = this.#levels.get(context, this.#slowStart.isUnderWay)
    if (target !== undefined && target.fails > 0) this.#failures.begin(target)
    return target
  }

  /** See `Affinity.renew`; undefined for strategies that need no such thing. */
  renewToken(target: Target, token: string | undefined): string | undefined {
    return this.#strategyOf(target).needs?.affinity?.renew(target, token)
  }

  /** An attempt at the target begins. */
  acquire(target: Target): void {
    target.inFlight++
    if (target.removed) return
    target.group.inFlight++
    if (target.full) target.group.changes++
    if (target !== this.#targets.single) this.#strategyOf(target).begin?.(target)
  }

  /**
   * An attempt at the target ended; to be called once for each `acquire`, also after the target was removed.
   * @param milliseconds see `Strategy.observe`; only where `measures` asks for it
   */
  release(target: Target, outcome: Outcome, milliseconds?: number): void {
    if (target.full) target.group.changes++
    target.inFlight--
    if (target.removed) return
    target.group.inFlight--
    this.#account(target, outcome, milliseconds)
    for (const observer of this.#observers) observer.onOutcome?.(target, outcome, milliseconds)
  }

  /**
   * Begins at a random point of the strategy's turn, by choices that nobody follows. Those that come after are in the
   * order in which they always are.
   */
  startAnywhere(random: () => number): void {
    const weight = this.targets.reduce((sum, target) => sum + target.weight, 0)
    this.#levels.passOver(Math.floor(random() * Math.min(weight, LONGEST_START)))
  }

  #account(target: Target, outcome: Outcome, milliseconds: number | undefined): void {
    if (target === this.#targets.single) {
      this.#failures.forgive(target)
      return
    }
    this.#failures.account(target, outcome)
    this.#strategyOf(target).observe?.(target, outcome, milliseconds)
  }

  #onBack(target: Target): void {
    if (!target.isObstructed) this.#slowStart.begin(target)
    this.#reassess()
  }

  #reassess(): void {
    this.#levels.assess()
    this.#levels.announce()
  }

  #join(options: string | TargetOptions): Target {
    const whole = typeof options === 'string' ? { url: options } : options
    const target = new Target(whole, (checked) => this.#groupOf(checked))
    const level = this.#levels.of(target)
    // First of all, for it may refuse the target.
    level.strategy.add(target)
    level.targets.add(target)
    this.#targets.add(target)
    return target
  }

  /** The targets beside which one works that is new. */
  #groupOf(target: Target): TargetGroup {
    if (this.find(target.url) !== undefined) throw new DuplicateTargetError(target.url, this.name)
    return this.#levels.of(target).group
  }

  #onRamp(target: Target): void {
    target.group.changes++
    if (!target.removed) this.#strategyOf(target).ramp?.(target)
  }

  #setDraining(url: string, draining: boolean): boolean {
    const target = this.find(url)
    if (target !== undefined) target.draining = draining
    return target !== undefined
  }

  #strategyOf(target: Target): Strategy {
    return this.#levels.of(target).strategy
  }
}
