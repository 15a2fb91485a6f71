import { listAt, numberAt, showUrl, textAt } from './json.ts'

interface Call {
  readonly name: string
  /** Microseconds in itself. */
  self: number
  /** Microseconds in itself and what it called. */
  total: number
}

const BAR = 20

/** A flame graph as a table: where the time went, in functions themselves and with what they called. */
export function renderProfile(profile: unknown, rows = 20): string {
  const nodes = new Map(listAt(profile, 'nodes').map((node) => [numberAt(node, 'id'), node]))
  const selfOf = new Map<number, number>()
  const samples = listAt(profile, 'samples')
  const deltas = listAt(profile, 'timeDeltas')
  let all = 0
  for (const [index, id] of samples.entries()) {
    // A sample stands for the time until the next one.
    const time = Math.max(0, Number(deltas[index + 1] ?? 0))
    selfOf.set(Number(id), (selfOf.get(Number(id)) ?? 0) + time)
    all += time
  }
  const calls = new Map<string, Call>()
  const root = nodes.values().next().value
  if (root !== undefined) addUp(root, nodes, selfOf, calls, new Set())
  const shown = [...calls.values()].sort((a, b) => b.total - a.total || b.self - a.self).slice(0, rows)
  const share = (time: number) => `${((100 * time) / Math.max(1, all)).toFixed(1)} %`.padStart(8)
  const lines = shown.map(({ name, self, total }) => {
    const bar = '#'.repeat(Math.round((BAR * total) / Math.max(1, all))).padEnd(BAR)
    return `${share(total)} ${share(self)}  ${bar}  ${name}\n`
  })
  return `${(all / 1000).toFixed(0)} ms, ${samples.length} samples\n\n   total     self\n${lines.join('')}`
}

/** Adds a node and those below it to the functions they are; returns the time of all. Recursion counts once. */
function addUp(
  node: unknown,
  nodes: ReadonlyMap<number, unknown>,
  selfOf: ReadonlyMap<number, number>,
  calls: Map<string, Call>,
  above: ReadonlySet<string>
): number {
  const name = nameOf(node)
  const self = selfOf.get(numberAt(node, 'id')) ?? 0
  const within = new Set(above).add(name)
  let total = self
  for (const child of listAt(node, 'children')) {
    total += addUp(nodes.get(Number(child)), nodes, selfOf, calls, within)
  }
  if (name === '(root)') return total
  const call = calls.get(name) ?? { name, self: 0, total: 0 }
  calls.set(name, call)
  call.self += self
  if (!above.has(name)) call.total += total
  return total
}

function nameOf(node: unknown): string {
  const called = textAt(node, 'callFrame', 'functionName') || '(anonymous)'
  const url = showUrl(textAt(node, 'callFrame', 'url'))
  return url === '' ? called : `${called} ${url}:${numberAt(node, 'callFrame', 'lineNumber') + 1}`
}
