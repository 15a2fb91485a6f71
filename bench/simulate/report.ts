import type { StrategyChoice } from '../../plugins/balancer/index.ts'
import { quantile, table } from '../measure.ts'
import { type SimulationResult, simulate } from './engine.ts'
import { type Scenario, scenarios } from './scenarios.ts'

/** Strategies without a key, in the order of the tables. */
export const STRATEGIES = [
  'random',
  'round-robin',
  'least-connections',
  'p2c',
  'peak-ewma',
  'least-response-time'
] as const

/** Strategies for requests with keys, and two without for comparison. */
export const KEYED: readonly { readonly label: string; readonly strategy: StrategyChoice }[] = [
  { label: 'consistent-hash', strategy: 'consistent-hash' },
  { label: 'maglev', strategy: 'maglev' },
  { label: 'rendezvous', strategy: 'rendezvous' },
  { label: 'bounded-consistent-hash', strategy: 'bounded-consistent-hash' },
  { label: 'bounded-consistent-hash, factor 1.5', strategy: { name: 'bounded-consistent-hash', factor: 1.5 } },
  { label: 'bounded-consistent-hash, factor 2', strategy: { name: 'bounded-consistent-hash', factor: 2 } },
  { label: 'p2c', strategy: 'p2c' },
  { label: 'least-connections', strategy: 'least-connections' }
]

/** The scenario that is about errors. */
const ERRORS = 'fast-errors'

export interface ReportOptions {
  /** Milliseconds in which requests arrive, in each run. */
  readonly duration: number
  readonly seeds: readonly number[]
}

/** One scenario with all its strategies. */
export interface ScenarioReport {
  readonly scenario: Scenario
  readonly results: readonly { readonly label: string; readonly result: SimulationResult }[]
}

export function runScenarios(options: ReportOptions, wanted: readonly Scenario[] = scenarios): ScenarioReport[] {
  const { duration, seeds } = options
  return wanted.map((scenario) => {
    const choices = scenario.keys === undefined ? STRATEGIES.map((strategy) => ({ label: strategy, strategy })) : KEYED
    return {
      scenario,
      results: choices.map(({ label, strategy }) => ({
        label,
        result: simulate({ scenario, strategy, duration }, seeds)
      }))
    }
  })
}

/** The scenarios that are about how long requests take. */
export function timed(reports: readonly ScenarioReport[]): ScenarioReport[] {
  return reports.filter(({ scenario }) => scenario.keys === undefined && scenario.name !== ERRORS)
}

/** The 99th percentile by scenario and strategy. */
export function renderLatencies(reports: readonly ScenarioReport[]): string {
  const rows = timed(reports).map(({ scenario, results }) => [
    scenario.title,
    ...results.map(({ result }) => formatTime(quantile(result.latencies, 0.99)))
  ])
  return table(['scenario', ...STRATEGIES], rows)
}

/** The share of requests that end in an error, where one target of ten fails at once. */
export function renderErrors(reports: readonly ScenarioReport[]): string {
  const report = reports.find(({ scenario }) => scenario.name === ERRORS)
  const shares = (report?.results ?? []).map(({ result }) => formatPercent(result.errors))
  return table(['', ...STRATEGIES], [['errors', ...shares]])
}

/** Requests with keys: how long they take, how even the load is, and whether keys stay at home. */
export function renderKeyed(reports: readonly ScenarioReport[]): string {
  const report = reports.find(({ scenario }) => scenario.keys !== undefined)
  return table(
    ['strategy', 'p50', 'p99', 'busiest target', 'requests at the home of their key'],
    (report?.results ?? []).map(({ label, result }) => [
      label,
      formatTime(quantile(result.latencies, 0.5)),
      formatTime(quantile(result.latencies, 0.99)),
      formatPercent(result.largestShare),
      formatPercent(result.affinity)
    ])
  )
}

/** Milliseconds with three digits at most. */
export function formatTime(milliseconds: number): string {
  if (milliseconds >= 10_000) return `${(milliseconds / 1_000).toFixed(0)} s`
  if (milliseconds >= 1_000) return `${(milliseconds / 1_000).toFixed(1)} s`
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`
}

function formatPercent(share: number): string {
  return `${(share * 100).toFixed(share < 0.01 ? 2 : 0)} %`
}
