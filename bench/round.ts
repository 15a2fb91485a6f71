import { median, table } from './measure.ts'

/** What one round of a proxy has shown. */
export interface Round {
  /** Microseconds of processor time of the proxy's processes, per request; NaN where the system does not tell. */
  readonly cpu: number
  /** Share of the time in which the proxy's processes ran, of all the processors that they may use; NaN likewise. */
  readonly busy: number
  /** Share of the time in which the load generator ran. */
  readonly generatorBusy: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Mebibytes. */
  readonly peak: number
}

/** What all rounds of a proxy have shown. */
export interface Outcome {
  readonly name: string
  /** Those that came to their end. */
  readonly rounds: readonly Round[]
  /** Why the others broke off. */
  readonly failures: readonly string[]
}

const HEAD = ['CPU us/request', 'min-max', 'ratio', 'requests/s', 'p50 ms', 'p99 ms', 'peak MiB', 'errors']
/** Below, something else than the proxy has set the pace. */
const BUSY = 0.85

/** The table of a scenario, medians over the rounds that came to their end, and what is to be said of it. */
export function report(title: string, outcomes: readonly Outcome[], skipped: readonly string[]): string {
  const base = medianOf(outcomes[0]?.rounds ?? [], 'cpu')
  const rows = outcomes.map((outcome) => row(outcome, base))
  return [table([title, ...HEAD], rows), ...notes(outcomes), ...skipped.map((line) => `${line}\n`)].join('\n').trimEnd()
}

export function medianOf(rounds: readonly Round[], key: keyof Round): number {
  return median(rounds.map((round) => round[key]))
}

/** A number for a table; one that was not measured has a dash. */
export function cell(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '-'
}

function row({ name, rounds, failures }: Outcome, base: number): string[] {
  const cpus = rounds.map(({ cpu }) => cpu)
  const cpu = median(cpus)
  return [
    name,
    cell(cpu, 1),
    spread(cpus),
    cell(cpu / base, 2),
    `${cell(medianOf(rounds, 'perSecond'), 0)}${isIdle(rounds) ? ' *' : ''}`,
    cell(medianOf(rounds, 'p50'), 2),
    cell(medianOf(rounds, 'p99'), 2),
    cell(medianOf(rounds, 'peak'), 0),
    String(failures.length)
  ]
}

function spread(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => cell(value, 1))
  return least === '-' ? '-' : `${least}-${most}`
}

function isIdle(rounds: readonly Round[]): boolean {
  return medianOf(rounds, 'busy') < BUSY
}

function notes(outcomes: readonly Outcome[]): string[] {
  const idle = outcomes.filter(({ rounds }) => isIdle(rounds))
  const generator = median(idle.map(({ rounds }) => medianOf(rounds, 'generatorBusy')))
  const pace = generator >= BUSY ? 'the load generator' : 'the load generator or the origin'
  return [
    ...(idle.length === 0
      ? []
      : [`\\* The proxy had time left, as ${pace} set the pace; requests/s and latencies are not its own.\n`]),
    ...outcomes.flatMap(({ name, failures }) =>
      failures.length === 0
        ? []
        : [`${name}: ${failures.length} rounds broke off, the first with: ${firstLine(failures)}\n`]
    )
  ]
}

function firstLine([failure = '']: readonly string[]): string {
  return failure.split('\r\n', 1)[0] ?? ''
}
