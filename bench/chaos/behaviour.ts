/** What a target can do, and how it is explained. */
export const BEHAVIOURS = {
  healthy: 'answers after about 10 ms',
  slow: 'takes ten times as long',
  creeps: 'takes 20 ms longer with each second',
  drips: 'sends the body in pieces, over 100 ms',
  'fails fast': 'answers 30 % with 503 or a reset, at once',
  unavailable: 'answers 10 % with 503',
  resets: 'resets 10 % of the connections in place of an answer',
  malformed: 'answers 30 % with what is no HTTP',
  flaps: 'is down every other two seconds, and cuts all connections then',
  refuses: 'refuses new connections every other second; those that stand are served',
  hangs: 'takes new connections, but answers on those of its first second alone',
  'black hole': 'takes requests, and never answers',
  'closes at once': 'closes each connection as soon as it stands',
  'closes idle': 'closes each connection a few milliseconds after an answer, without a word',
  truncates: 'closes 30 % of the connections before the end of the body',
  'resets late': 'resets 30 % of the connections in the middle of the body'
} as const

export type Behaviour = keyof typeof BEHAVIOURS

/** Targets of one run. */
const TARGETS = 10

/** Ten targets, of which the first ones behave as told, and the others are healthy. */
export function targetsWith(faults: readonly Behaviour[]): Behaviour[] {
  return Array.from({ length: TARGETS }, (_, index) => faults[index] ?? 'healthy')
}

export const NO_FAULTS: readonly Behaviour[] = targetsWith([])

/** Four are each bad in a way of their own. */
export const FAULTS: readonly Behaviour[] = targetsWith(['slow', 'fails fast', 'flaps', 'black hole'])

/** Behaviours by their names, separated by commas. Throws on one that is not known. */
export function parseFaults(names: string): Behaviour[] {
  return names.split(',').map((each) => {
    const name = each.trim()
    if (isBehaviour(name)) return name
    throw new Error(`unknown fault '${name}', expected one of: ${Object.keys(BEHAVIOURS).join(', ')}`)
  })
}

function isBehaviour(name: string): name is Behaviour {
  return Object.hasOwn(BEHAVIOURS, name)
}
