import type { Target } from '../target.ts'
import type { PickContext } from '../types.ts'
import { SmoothWeights } from '../weights/smooth-weights.ts'
import { compareLoad } from './compare-load.ts'

/** nginx's least_conn: attempts under way are compared without the one to come, ties go by smooth weighted round robin. */
export class NginxLeastConnections extends SmoothWeights {
  override get(context: PickContext): Target | undefined {
    let best: Target | undefined
    let isTied = false
    for (const { target } of this.peers) {
      if (!target.isAvailable(context, this.now)) continue
      const difference = best === undefined ? -1 : compareLoad(target, best)
      if (difference < 0) {
        best = target
        isTied = false
      } else if (difference === 0) {
        isTied = true
      }
    }
    return isTied && best !== undefined ? this.getAmongTied(best, context) : best
  }
}
