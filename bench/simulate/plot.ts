import { quantile } from '../measure.ts'
import { type ScenarioReport, timed } from './report.ts'

/** The colours of Okabe and Ito, which most people can tell apart, and shapes for the others. */
const STYLES = [
  { color: '#999999', shape: 'circle' },
  { color: '#000000', shape: 'square' },
  { color: '#0072b2', shape: 'circle' },
  { color: '#56b4e9', shape: 'square' },
  { color: '#e69f00', shape: 'circle' },
  { color: '#009e73', shape: 'square' }
] as const

const LEFT = 290
const WIDTH = 620
const ROW = 30
const TOP = 64
const TICKS = [30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000]
const [LOWEST = 1] = TICKS
const HIGHEST = TICKS.at(-1) ?? 1

/** The 99th percentile of each scenario by strategy, on a logarithmic scale, as SVG. */
export function plotLatencies(reports: readonly ScenarioReport[]): string {
  const rows = timed(reports)
  const height = TOP + rows.length * ROW + 40
  const bottom = TOP + rows.length * ROW
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + 30} ${height}" font-family="sans-serif" font-size="13">`,
    '<title>99th percentile of the response time, by scenario and strategy</title>',
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    ...legend(rows[0]),
    ...TICKS.flatMap((tick) => [
      `<line x1="${x(tick)}" y1="${TOP - 8}" x2="${x(tick)}" y2="${bottom}" stroke="#dddddd"/>`,
      `<text x="${x(tick)}" y="${bottom + 18}" text-anchor="middle" fill="#444444">${tickLabel(tick)}</text>`
    ]),
    ...rows.flatMap((row, index) => plotRow(row, TOP + index * ROW + ROW / 2)),
    '</svg>'
  ]
  return `${lines.join('\n')}\n`
}

function legend(row: ScenarioReport | undefined): string[] {
  return (row?.results ?? []).flatMap(({ label }, index) => {
    const left = 20 + (index % 6) * 152
    return [marker(index, left, 24), `<text x="${left + 12}" y="28" fill="#222222">${label}</text>`]
  })
}

function plotRow({ scenario, results }: ScenarioReport, y: number): string[] {
  const times = results.map(({ result }) => quantile(result.latencies, 0.99))
  return [
    `<text x="${LEFT - 14}" y="${y + 4}" text-anchor="end" fill="#222222">${scenario.title}</text>`,
    `<line x1="${x(Math.min(...times))}" y1="${y}" x2="${x(Math.max(...times))}" y2="${y}" stroke="#bbbbbb"/>`,
    ...times.map((time, index) => marker(index, x(time), y))
  ]
}

function marker(index: number, centre: number, y: number): string {
  const { color, shape } = STYLES[index % STYLES.length] ?? STYLES[0]
  return shape === 'circle'
    ? `<circle cx="${centre}" cy="${y}" r="5.5" fill="${color}" fill-opacity="0.85"/>`
    : `<rect x="${centre - 5}" y="${y - 5}" width="10" height="10" fill="${color}" fill-opacity="0.85"/>`
}

function x(milliseconds: number): number {
  const share = Math.log(milliseconds / LOWEST) / Math.log(HIGHEST / LOWEST)
  return Math.round((LEFT + share * WIDTH) * 10) / 10
}

function tickLabel(milliseconds: number): string {
  return milliseconds < 1_000 ? `${milliseconds} ms` : `${milliseconds / 1_000} s`
}
