import { crc32 } from '../crc32.ts'
import { KetamaRing, ketamaPoints } from '../ketama-ring.ts'
import { checkOptionNames, readCompat } from '../options.ts'
import type { Target } from '../target.ts'
import type { Outcome, PickContext, Strategy, StrategyFactory } from '../types.ts'
import { recover, SmoothWeights } from './smooth-weighted-round-robin.ts'

/** Points that nginx walks past before it takes the targets in turn. */
const NGINX_MISSES = 20

/**
 * Sends equal keys to the same target, on the ring of nginx's `hash ... consistent`: a mixed fleet of nginx and this
 * gateway agrees. An unavailable target keeps its points; only its own keys go elsewhere, and come back.
 * Without a key: smooth weighted round robin. With `compat: 'nginx'` also after 20 points of unavailable targets.
 *
 * @see https://github.com/nginx/nginx/blob/release-1.22.1/src/http/modules/ngx_http_upstream_hash_module.c
 */
export const consistentHash: StrategyFactory = {
  name: 'consistent-hash',
  create(options, { now }) {
    checkOptionNames('consistent-hash', options, ['compat'])
    return new ConsistentHash(now, readCompat('consistent-hash', options.compat) ? NGINX_MISSES : undefined)
  }
}

class ConsistentHash implements Strategy {
  readonly needs = { key: true } as const
  readonly #now: () => number
  readonly #smooth: SmoothWeights
  readonly #ring = new KetamaRing()
  /** For each owner, the number of the last walk that met it; every walk has a new number. */
  readonly #met: number[] = []
  readonly #maxMisses: number | undefined
  #walks = 0

  constructor(now: () => number, maxMisses: number | undefined) {
    this.#maxMisses = maxMisses
    this.#now = now
    this.#smooth = new SmoothWeights(now)
  }

  add(target: Target): void {
    const server = target.url.replace(/^https?:\/\//i, '')
    this.#ring.add(this.#smooth.peers.length, ketamaPoints(server, target.weight))
    this.#smooth.add(target)
  }

  remove(target: Target): void {
    const owner = this.#smooth.peers.findIndex((peer) => peer.target === target)
    this.#ring.remove(owner)
    this.#smooth.remove(target)
  }

  get(context: PickContext): Target | undefined {
    const { key } = context
    if (key === undefined || key === '') return this.#smooth.get(context)
    if (this.#ring.size === 0) return undefined

    const start = this.#ring.find(crc32(key))
    return this.#take(this.#ring.ownerAt(start), context) ?? this.#walk(start, context)
  }

  observe(target: Target, outcome: Outcome): void {
    this.#smooth.observe(target, outcome)
  }

  /** Goes on round the ring to the next available target, asking each only once. */
  #walk(start: number, context: PickContext): Target | undefined {
    const walk = ++this.#walks
    let left = this.#smooth.peers.length
    for (let step = 0; step < this.#ring.size && left > 0; step++) {
      if (this.#maxMisses !== undefined && step > this.#maxMisses) return this.#smooth.get(context)
      const owner = this.#ring.ownerAt((start + step) % this.#ring.size)
      if (this.#met[owner] === walk) continue
      this.#met[owner] = walk
      left--
      const target = this.#take(owner, context)
      if (target !== undefined) return target
    }
    return undefined
  }

  #take(owner: number, context: PickContext): Target | undefined {
    const peer = this.#smooth.peers[owner]
    if (!peer?.target.isAvailable(context, this.#now)) return undefined
    recover(peer)
    return peer.target
  }
}
