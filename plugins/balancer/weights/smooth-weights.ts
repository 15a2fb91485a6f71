import { compareLoad } from '../load/compare-load.ts'
import { FULL_RAMP, type Target } from '../target.ts'
import type { Outcome, PickContext, Strategy } from '../types.ts'
import { SmoothCycle } from './smooth-cycle.ts'

/** A target as smooth weighted round robin sees it. */
export interface Peer {
  readonly target: Target
  /** How much the target is owed; the largest is picked. */
  current: number
  /** The weight in force: less than the target's after failures, until it has recovered. */
  effective: number
}

/**
 * nginx's smooth weighted round robin: on every pick each peer gains its effective weight, and the richest pays the
 * sum of the gains. A weight of 5 among 1, 1 gives a a b a c a a rather than a a a a a b c.
 *
 * @see https://github.com/nginx/nginx/blob/release-1.22.1/src/http/ngx_http_upstream_round_robin.c
 */
export class SmoothWeights implements Strategy {
  readonly peers: Peer[] = []
  protected readonly now: () => number
  readonly #cycle: SmoothCycle
  /** In the last step, every peer that can be used took part with its whole weight, and none is about to come back. */
  #isRegular = true

  constructor(now: () => number) {
    this.now = now
    this.#cycle = new SmoothCycle(now)
  }

  add(target: Target): void {
    this.#cycle.stop(this.peers)
    this.peers.push({ target, current: 0, effective: target.weight })
  }

  remove(target: Target): void {
    this.#cycle.stop(this.peers)
    const index = this.peers.findIndex((peer) => peer.target === target)
    this.peers.splice(index, 1)
    this.#limitDebts()
  }

  reweigh(target: Target, previous: number): void {
    this.#cycle.stop(this.peers)
    const peer = this.peers.find((other) => other.target === target)
    if (peer === undefined) return
    peer.effective = previous === 0 ? target.weight : Math.trunc((peer.effective * target.weight) / previous)
    this.#limitDebts()
  }

  get(context: PickContext): Target | undefined {
    const tries = context.tried?.length ?? 0
    const changes = this.peers[0]?.target.group.changes ?? 0
    const known = tries === 0 ? this.#cycle.play(changes) : -1
    if (known >= 0) return this.peers[known]?.target

    if (this.#cycle.plays) this.#cycle.stop(this.peers)
    const index = this.#step(context, undefined)
    if (index >= 0 && tries === 0 && this.#isRegular) this.#cycle.record(index, this.peers, changes)
    else this.#cycle.stop(this.peers)
    return this.peers[index]?.target
  }

  /** One step among those of the available peers that are as loaded as the leader is. */
  getAmongTied(leader: Target, context: PickContext): Target | undefined {
    return this.peers[this.#step(context, leader)]?.target
  }

  /** A failure costs the share of the weight that one of `maxFails` failures is. */
  observe(target: Target, outcome: Outcome): void {
    if (outcome !== 'failure' || target.maxFails === 0) return
    const loss = Math.trunc(target.weight / target.maxFails)
    for (const peer of this.peers) {
      if (peer.target === target) peer.effective = Math.max(0, peer.effective - loss)
    }
  }

  /** What was owed by larger weights must not keep a target waiting, or busy, for more than about one round. */
  #limitDebts(): void {
    const total = this.peers.reduce((sum, { target }) => sum + target.weight, 0)
    for (const peer of this.peers) peer.current = Math.max(-total, Math.min(total, peer.current))
  }

  #step(context: PickContext, leader: Target | undefined): number {
    let best = -1
    let most = Number.NEGATIVE_INFINITY
    let total = 0
    this.#isRegular = true
    for (let index = 0; index < this.peers.length; index++) {
      const peer = this.peers[index]
      if (peer === undefined) continue
      if (!peer.target.isAvailable(context, this.now)) {
        // It comes back by the passing of time, which is no change that is counted.
        if (peer.target.hasFailed(this.now)) this.#isRegular = false
        continue
      }
      if (leader !== undefined && compareLoad(peer.target, leader) !== 0) continue
      const gain = (peer.effective * peer.target.ramp) / FULL_RAMP
      peer.current += gain
      total += gain
      if (gain < peer.target.weight) {
        this.#isRegular = false
        recover(peer)
      }
      if (peer.current > most) {
        best = index
        most = peer.current
      }
    }
    const picked = this.peers[best]
    if (picked !== undefined) picked.current -= total
    return best
  }
}

/** Gives a peer back one unit of the weight that failures took from it. */
export function recover(peer: Peer): void {
  if (peer.effective < peer.target.weight) peer.effective++
}
