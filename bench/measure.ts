/** Something measured again and again. */
export interface Case<T> {
  readonly name: string
  /** Undefined if there is nothing to count. */
  run(): T | undefined | Promise<T | undefined>
}

/**
 * Measures all cases in rounds, one after the other within a round, each round beginning with another case: what the
 * machine does meanwhile then meets all of them alike. The first round warms up and does not count.
 */
export async function interleave<T>(cases: readonly Case<T>[], rounds: number): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>(cases.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (let i = 0; i < cases.length; i++) {
      const one = cases[(i + round) % cases.length]
      const result = await one?.run()
      if (one !== undefined && result !== undefined && round > 0) results.get(one.name)?.push(result)
    }
  }
  return results
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The smallest of the values that at least this share of them does not exceed; NaN without values. */
export function quantile(values: Iterable<number>, share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/** Nanoseconds per call of `work`, over `calls` calls in one go. */
export function timePerCall(calls: number, work: (call: number) => unknown): number {
  // What the calls return is looked at, so that the compiler cannot leave them out.
  let found = 0
  const start = process.hrtime.bigint()
  for (let call = 0; call < calls; call++) {
    if (work(call) !== undefined) found++
  }
  const elapsed = Number(process.hrtime.bigint() - start)
  if (found !== calls) throw new Error(`${calls - found} of ${calls} calls found nothing`)
  return elapsed / calls
}

/** Rows as a Markdown table, with columns of even width. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(length)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |\n`
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [line(head), line(rule), ...rows.map(line)].join('')
}

function length(text: string): number {
  return text.length
}
