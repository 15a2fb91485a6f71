/** What the targets of one group have in common, so that a strategy need not ask each of them. */
export class TargetGroup {
  /** Attempts in flight at all targets of the group together. */
  inFlight = 0
  /** Grows whenever a target may have become available or unavailable, other than by the passing of time. */
  changes = 0
}
