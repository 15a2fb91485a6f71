import type { Target } from './target.ts'

/**
 * How an attempt ended. `failure`: no response, or one that is tried again; counts towards `maxFails`. `error`: the
 * client got a response by which the target says that it failed (5xx). `neutral`: the client left, or somebody else was
 * faster, which says nothing about the target.
 */
export type Outcome = 'success' | 'error' | 'failure' | 'neutral'

/** What a choice may depend on. */
export interface PickContext {
  /** What a keyed strategy hashes; undefined or empty means no key. Each UTF-16 unit up to 0xff is one byte. */
  readonly key: string | undefined
  /** What the client brought along to be known by, where the strategy needs it. */
  readonly token?: string | undefined
  /** Targets this exchange has tried already; they are not picked again. */
  readonly tried: readonly Target[] | undefined
}

/** The outside world of a strategy, so that tests can script it. */
export interface StrategyDeps {
  /** A monotonic clock, in milliseconds. */
  now(): number
  /** A number from 0 up to, not including, 1. */
  random(): number
  /** The time of day, in milliseconds since the epoch. */
  date(): number
  /** The name of the upstream. */
  readonly upstream: string
  /**
   * Makes another strategy for the same targets, for one that builds on others; undefined means the default one.
   * @throws UnknownStrategyError, InvalidStrategyError
   */
  create(choice: unknown): Strategy
}

/** How clients that come back are known: by a token that they are given, and bring along. */
export interface Affinity {
  readonly from: 'cookie' | 'header'
  /** The name of the cookie or header, in the request and in the response. */
  readonly name: string
  /** What follows the value in Set-Cookie, from its first semicolon on. */
  readonly attributes: string
  /** Whether tokens outlive the process, and are good at others. */
  readonly lasting: boolean
  /** A token for the client that a target has answered; undefined when the one that it brought will do. */
  renew(target: Target, token: string | undefined): string | undefined
}

export type StrategyOptions = Readonly<Record<string, unknown>>

/** What a strategy needs from whoever sends the requests; nothing that is not asked for is worked out. */
export interface StrategyNeeds {
  /** It hashes `context.key`. `ip`: where the upstream has no `hashKey`, the address of the client. */
  readonly key?: true | 'ip'
  /** `observe` is to be told how long the target took. */
  readonly latency?: boolean
  /** `context.token` is to be what this asks for, and the client is to be given what `renew` returns. */
  readonly affinity?: Affinity
}

/**
 * A balancing algorithm with the state of one group of targets: one priority, or the backups, of one upstream.
 * While an upstream has one target only, there is nothing to choose: `get`, `begin` and `observe` are not called.
 */
export interface Strategy {
  readonly needs?: StrategyNeeds
  /** A target joined the group; targets join in the order of the configuration. */
  add(target: Target): void
  /** A target left the group. It is never observed again, even if attempts are still under way. */
  remove(target: Target): void
  /**
   * The weight of a target of the group has changed; for strategies that keep more of it than `target.weight` tells.
   * @param previous the weight it had
   */
  reweigh?(target: Target, previous: number): void
  /** `target.share` has changed, by slow start; for strategies that keep it sorted. Tables are better left alone. */
  ramp?(target: Target): void
  /** The target that the client of `context.token` is known to belong to, where it may be picked. */
  recall?(context: PickContext): Target | undefined
  /** Picks among the targets that `isAvailable`; undefined when there is none. Synchronous; must not throw. */
  get(context: PickContext): Target | undefined
  /** An attempt at a target of the group begins; `target.inFlight` counts it already. */
  begin?(target: Target): void
  /**
   * An attempt at a target of the group ended; `target.inFlight` no longer counts it.
   * @param milliseconds from the beginning of the attempt to the head of the response, or to the end of the attempt if
   * none came; undefined where nobody measured
   */
  observe?(target: Target, outcome: Outcome, milliseconds: number | undefined): void
}

/** What is registered under a strategy's name. */
export interface StrategyFactory {
  /** The name used in configuration. */
  readonly name: string
  /**
   * Called for each priority of an upstream, and for its backups.
   * @throws InvalidStrategyError for an option that is unknown or has a wrong value.
   */
  create(options: StrategyOptions, deps: StrategyDeps): Strategy
}

/** What a strategy needs that says nothing of it. */
export const NO_NEEDS: StrategyNeeds = Object.freeze({})

/** A choice that depends on nothing. */
export const NO_CONTEXT: PickContext = Object.freeze({ key: undefined, tried: undefined })
