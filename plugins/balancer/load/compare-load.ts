import type { Target } from '../target.ts'

/** Negative when `a` has fewer attempts in flight for its weight than `b`; exact, and free of division. */
export function compareLoad(a: Target, b: Target): number {
  return a.inFlight * b.share - b.inFlight * a.share
}
