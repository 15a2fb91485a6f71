import { drawByKey } from './hashing/key-lot.ts'
import type { BalancerObserver } from './observer.ts'
import { Level } from './priority-level.ts'
import { loadByHealth, loadBySize } from './priority-load.ts'
import type { Target } from './target.ts'
import { type GroupOwner, TargetGroup } from './target-group.ts'
import { NO_CONTEXT, type PickContext, type Strategy } from './types.ts'

/** What sets the draw of a priority apart from others by the same key. */
const PRIORITY = 0x9107175e

export interface PriorityLevelsSetup {
  createStrategy(): Strategy
  readonly observers: readonly BalancerObserver[]
  readonly owner: GroupOwner
  now(): number
  random(): number
  /** Share of healthy targets below which a level panics; 0 = never. */
  readonly panicThreshold: number
}

/**
 * The levels of a balancer: one for each priority, and the backups. Tells how much of the traffic goes to each priority,
 * and which levels panic, as Envoy does. The backups get what no priority can take, and count like a last priority when it
 * is asked whether there is reason to panic.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold
 */
export class PriorityLevels {
  /** By priority, the first one first; never empty. */
  readonly primaries: Level[]
  readonly backups: Level
  readonly #setup: PriorityLevelsSetup
  /** When time alone will have changed what `assess` has found. */
  staleAt = Number.POSITIVE_INFINITY

  constructor(setup: PriorityLevelsSetup) {
    this.#setup = setup
    this.primaries = [this.#create(0, false)]
    this.backups = this.#create(0, true)
  }

  get all(): readonly Level[] {
    return [...this.primaries, this.backups]
  }

  /** Attempts in flight at all targets. */
  get inFlight(): number {
    let sum = this.backups.group.inFlight
    for (const { group } of this.primaries) sum += group.inFlight
    return sum
  }

  of({ backup, priority }: Pick<Target, 'backup' | 'priority'>): Level {
    if (backup) return this.backups
    for (const level of this.primaries) if (level.priority === priority) return level
    const level = this.#create(priority, false)
    this.primaries.push(level)
    this.primaries.sort((a, b) => a.priority - b.priority)
    return level
  }

  /**
   * A target of the priority that this choice falls to, else of another priority, else a backup.
   * @param isSlow some targets are in slow start
   */
  get(context: PickContext, isSlow: boolean): Target | undefined {
    const chosen = this.primaries.length === 1 ? this.primaries[0] : this.#choose(context)
    const target = chosen?.get(context, isSlow)
    if (target !== undefined) return target
    for (const level of this.primaries) {
      const other = level === chosen ? undefined : level.get(context, isSlow)
      if (other !== undefined) return other
    }
    return this.backups.get(context, isSlow)
  }

  /** Has every strategy make so many choices that nobody follows. */
  passOver(choices: number): void {
    for (let left = choices; left > 0; left--) {
      for (const { strategy } of this.all) strategy.get(NO_CONTEXT)
    }
  }

  /** Works out shares and panics anew. */
  assess(): void {
    let health = 0
    this.staleAt = Number.POSITIVE_INFINITY
    for (const level of this.all) {
      level.count(this.#setup.now)
      health += level.health
      this.staleAt = Math.min(this.staleAt, level.staleAt)
    }
    for (const level of this.all) {
      // Where all levels together can take everything, few healthy targets in one of them are no reason to panic.
      const isThin = level.inService > 0 && level.fit / level.inService < this.#setup.panicThreshold
      level.group.panic = isThin && health < 100
    }
    this.#shareLoad()
  }

  /** Tells observers of panics that have begun or ended. */
  announce(): void {
    for (const level of this.all) {
      if (level.panic === level.isKnownToPanic) continue
      level.isKnownToPanic = level.panic
      for (const observer of this.#setup.observers) observer.onPanic?.(level)
    }
  }

  /** The priority that knows the client, else one by lot. Equal keys draw the same, so that they stay with theirs. */
  #choose(context: PickContext): Level | undefined {
    const { key, token } = context
    if (token !== undefined) {
      for (const level of this.primaries) if (level.strategy.recall?.(context) !== undefined) return level
    }
    const [first] = this.primaries
    if (first?.load === 100) return first
    const isKeyed = key !== undefined && key !== ''
    const lot = isKeyed ? drawByKey(key, PRIORITY) % 100 : Math.floor(this.#setup.random() * 100)
    let sum = 0
    for (const level of this.primaries) {
      sum += level.load
      if (lot < sum) return level
    }
    return first
  }

  #shareLoad(): void {
    const { primaries } = this
    const isTotal = primaries.every(({ panic, inService }) => panic || inService === 0)
    const isHopeless = primaries.every(({ health }) => health === 0)
    const loads =
      isTotal || isHopeless
        ? loadBySize(primaries.map(({ panic, inService }) => (panic ? inService : 0)))
        : loadByHealth(primaries.map(({ health }) => health))
    for (const [index, level] of primaries.entries()) level.load = loads[index] ?? 0
  }

  #create(priority: number, backup: boolean): Level {
    const { createStrategy, observers, owner } = this.#setup
    return new Level(priority, backup, createStrategy(), new TargetGroup(observers, owner))
  }
}
