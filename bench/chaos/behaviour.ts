/** What a target does: it answers after about 10 ms, or... */
export type Behaviour = 'healthy' | 'slow' | 'fails fast' | 'flaps' | 'black hole' | 'truncates'

/** Ten targets, of which four are each bad in a way of their own. */
export const FAULTS: readonly Behaviour[] = [
  ...(['slow', 'fails fast', 'flaps', 'black hole'] as const),
  ...Array.from({ length: 6 }, () => 'healthy' as const)
]

export const NO_FAULTS: readonly Behaviour[] = Array.from({ length: 10 }, () => 'healthy' as const)
