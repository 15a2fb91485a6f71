import { InvalidTargetError } from '../../errors.ts'
import type { Target } from '../target.ts'
import type { PickContext } from '../types.ts'
import { recover } from '../weights/smooth-weights.ts'
import { crc32 } from './crc32.ts'
import { KetamaRing, ketamaPoints, MAX_RING_WEIGHT } from './ketama-ring.ts'
import { KeyedStrategy } from './keyed-strategy.ts'

/**
 * Targets on the ring of nginx's `hash ... consistent`. A target that cannot take a key keeps its points; the key goes on
 * round the ring to the next one that can.
 */
export class HashRing extends KeyedStrategy {
  readonly #ring = new KetamaRing()
  /** For each owner, the number of the last walk that met it; every walk has a new number. */
  readonly #met: number[] = []
  readonly #maxMisses: number | undefined
  #walks = 0
  /** Of all targets together. */
  #weight = 0

  /** @param maxMisses points to walk past before the targets take turns; undefined = as many as there are */
  constructor(now: () => number, maxMisses?: number) {
    super(now)
    this.#maxMisses = maxMisses
  }

  /** @throws InvalidTargetError, and leaves all as it is, when the ring would have too many points */
  override add(target: Target): void {
    this.#gain(target, target.weight)
    this.#ring.add(this.turns.peers.length, pointsOf(target))
    super.add(target)
  }

  override remove(target: Target): void {
    this.#weight -= target.weight
    this.#ring.remove(this.#ownerOf(target))
    super.remove(target)
  }

  /** @throws InvalidTargetError, as `add` */
  override reweigh(target: Target, previous: number): void {
    this.#gain(target, target.weight - previous)
    super.reweigh(target, previous)
    this.#ring.replace(this.#ownerOf(target), pointsOf(target))
  }

  protected override getByKey(key: string, context: PickContext): Target | undefined {
    if (this.#ring.size === 0) return undefined
    const start = this.#ring.find(crc32(key))
    return this.#take(this.#ring.ownerAt(start), context) ?? this.#walk(start, context)
  }

  /** Goes on round the ring to the next available target, asking each only once. */
  #walk(start: number, context: PickContext): Target | undefined {
    const walk = ++this.#walks
    let left = this.turns.peers.length
    for (let step = 0; step < this.#ring.size && left > 0; step++) {
      if (this.#maxMisses !== undefined && step > this.#maxMisses) return this.turns.get(context)
      const owner = this.#ring.ownerAt((start + step) % this.#ring.size)
      if (this.#met[owner] === walk) continue
      this.#met[owner] = walk
      left--
      const target = this.#take(owner, context)
      if (target !== undefined) return target
    }
    return undefined
  }

  #gain({ url }: Target, weight: number): void {
    const sum = this.#weight + weight
    if (sum > MAX_RING_WEIGHT) {
      throw new InvalidTargetError(
        url,
        `a hash ring takes weights of ${MAX_RING_WEIGHT} together, and with this target they are ${sum}`
      )
    }
    this.#weight = sum
  }

  #ownerOf(target: Target): number {
    return this.turns.peers.findIndex((peer) => peer.target === target)
  }

  #take(owner: number, context: PickContext): Target | undefined {
    const peer = this.turns.peers[owner]
    if (peer === undefined || !this.accepts(peer.target, context)) return undefined
    recover(peer)
    return peer.target
  }

  /** Whether the target takes the key. */
  protected accepts(target: Target, context: PickContext): boolean {
    return target.isAvailable(context, this.now)
  }
}

function pointsOf({ url, weight }: Target): Uint32Array {
  return ketamaPoints(url.replace(/^https?:\/\//i, ''), weight)
}
