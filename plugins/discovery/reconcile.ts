import type { Balancer, TargetOptions } from '../balancer/index.ts'
import type { Endpoint } from './lookup.ts'

/** What all targets of a source have in common. */
export interface TargetTemplate extends Omit<TargetOptions, 'url' | 'down'> {
  readonly protocol: 'http' | 'https'
  /** Where records name none; undefined = that of the protocol. */
  readonly port?: number | undefined
}

export interface Changes {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
}

/**
 * The targets of some endpoints, by URL and in its order, so that all processes have the same list. Where records repeat an
 * endpoint, its first priority counts, and the weights there add up.
 */
export function targetsOf(endpoints: readonly Endpoint[], template: TargetTemplate): Map<string, TargetOptions> {
  const { protocol, port, ...common } = template
  const targets = new Map<string, TargetOptions>()
  for (const { address, service } of endpoints) {
    const host = address.includes(':') ? `[${address}]` : address
    const suffix = service?.port ?? port
    const url = `${protocol}://${host}${suffix === undefined ? '' : `:${suffix}`}`
    const target = service === undefined ? { ...common, url } : { ...common, url, ...weightOf(service, common.backup) }
    const twin = service === undefined ? undefined : targets.get(url)
    targets.set(url, twin === undefined ? target : merge(twin, target))
  }
  return new Map([...targets].sort(([a], [b]) => Number(a > b) - Number(a < b)))
}

/** A weight of 0 means a very small chance beside others, and an equal one among its like (RFC 2782). */
function weightOf({ priority, weight }: { priority: number; weight: number }, backup: boolean | undefined) {
  const share = Math.max(1, weight)
  return backup === true ? { weight: share } : { weight: share, priority }
}

function merge(one: TargetOptions, other: TargetOptions): TargetOptions {
  const [a = 0, b = 0] = [one.priority, other.priority]
  if (a !== b) return a < b ? one : other
  return { ...one, weight: Math.min(65_535, (one.weight ?? 1) + (other.weight ?? 1)) }
}

/** Keeps the targets of one source in a balancer as they should be; those that come from elsewhere are left alone. */
export class Reconciler {
  readonly #balancer: Balancer
  readonly #own = new Map<string, TargetOptions>()
  #isFirst = true

  constructor(balancer: Balancer) {
    this.#balancer = balancer
  }

  /** Adds before it removes, so that there is no moment without targets. */
  apply(wanted: ReadonlyMap<string, TargetOptions>): Changes {
    const changes = { added: [] as string[], removed: [] as string[], changed: [] as string[] }
    for (const [url, target] of wanted) {
      const known = this.#own.get(url)
      if (known === undefined) this.#add(url, target, changes.added)
      else if (known.priority !== target.priority) this.#replace(url, target, changes.changed)
      else if (known.weight !== target.weight) this.#reweigh(url, target, changes.changed)
    }
    for (const url of [...this.#own.keys()].filter((own) => !wanted.has(own))) {
      this.#own.delete(url)
      this.#balancer.remove(url)
      changes.removed.push(url)
    }
    this.#isFirst = false
    return changes
  }

  #add(url: string, target: TargetOptions, added: string[]): void {
    // What is there already, by the configuration or another source, stays theirs.
    if (this.#balancer.find(url) !== undefined) return
    // With the process, all targets are equally new.
    this.#balancer.add(target, { slowStart: !this.#isFirst })
    this.#own.set(url, target)
    added.push(url)
  }

  #replace(url: string, target: TargetOptions, changed: string[]): void {
    // Orders that were given for it hold on; one that code has removed stays away.
    const previous = this.#balancer.find(url)
    this.#own.set(url, target)
    if (previous === undefined) return
    this.#balancer.remove(url)
    this.#balancer.add({ ...target, down: previous.down }, { slowStart: false })
    if (previous.draining) this.#balancer.drain(url)
    changed.push(url)
  }

  #reweigh(url: string, target: TargetOptions, changed: string[]): void {
    this.#balancer.setWeight(url, target.weight ?? 1)
    this.#own.set(url, target)
    changed.push(url)
  }
}
