import { compareLoad } from './compare-load.ts'
import type { Target } from './target.ts'
import type { Outcome, PickContext, Strategy } from './types.ts'

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

  constructor(now: () => number) {
    this.now = now
  }

  add(target: Target): void {
    this.peers.push({ target, current: 0, effective: target.weight })
  }

  remove(target: Target): void {
    const index = this.peers.findIndex((peer) => peer.target === target)
    this.peers.splice(index, 1)
  }

  get(context: PickContext): Target | undefined {
    return this.pick(context, undefined)
  }

  /** One step among the available peers; with `leader`, only among those as loaded as it is. */
  pick(context: PickContext, leader: Target | undefined): Target | undefined {
    let best: Peer | undefined
    let total = 0
    for (const peer of this.peers) {
      if (!peer.target.isAvailable(context, this.now)) continue
      if (leader !== undefined && compareLoad(peer.target, leader) !== 0) continue
      peer.current += peer.effective
      total += peer.effective
      recover(peer)
      if (best === undefined || peer.current > best.current) best = peer
    }
    if (best === undefined) return undefined
    best.current -= total
    return best.target
  }

  /** A failure costs the share of the weight that one of `maxFails` failures is. */
  observe(target: Target, outcome: Outcome): void {
    if (outcome !== 'failure' || target.maxFails === 0) return
    const loss = Math.trunc(target.weight / target.maxFails)
    for (const peer of this.peers) {
      if (peer.target === target) peer.effective = Math.max(0, peer.effective - loss)
    }
  }
}

/** Gives a peer back one unit of the weight that failures took from it. */
export function recover(peer: Peer): void {
  if (peer.effective < peer.target.weight) peer.effective++
}
