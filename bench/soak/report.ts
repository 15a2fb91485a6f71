import { table } from '../measure.ts'
import type { GatewayReport } from './gateway.ts'
import type { SoakResult } from './run.ts'

/** Growth of the heap, from the second quarter of the run to the last, that is no leak: mebibytes. */
const TOLERANCE = 8
/** Descriptors that may stay open after the load: idle connections to targets, mostly. */
const SPARE = 200
const MEBI = 2 ** 20

/** The result in words, and whether it is as it must be: nothing lost or wrong, nothing that grows. */
export function verdict({ tally, targets, samples, before, after }: SoakResult): { text: string; passed: boolean } {
  const growth = meanHeap(quarter(samples, 3)) - meanHeap(quarter(samples, 1))
  const faults = [
    ...tally.wrong.slice(0, 20),
    ...(targets.duplicates > 0 ? [`${targets.duplicates} POST requests reached targets more than once`] : []),
    ...(growth > TOLERANCE ? [`the heap grows by ${growth.toFixed(1)} MiB`] : []),
    ...(after.inFlight !== 0 ? [`${after.inFlight} attempts stay in flight`] : []),
    ...(after.descriptors > before.descriptors + SPARE ? [`${after.descriptors} descriptors stay open`] : [])
  ]
  const counts = [...tally.counts].sort(([a], [b]) => a.localeCompare(b)).map(([word, count]) => [word, String(count)])
  const memory = [
    row('before', before),
    ...samples.map((sample, i) => row(`${Math.round(((i + 1) / samples.length) * 100)} %`, sample)),
    row('after', after)
  ]
  const summary = `${tally.requests} answers held against what they had to be, ${tally.wrong.length} lost or wrong; ${targets.requests} requests at the targets, ${targets.duplicates} POST requests twice`
  const text = [
    table(['outcome', 'count'], counts),
    table(['time', 'heap MiB', 'RSS MiB', 'descriptors', 'in flight'], memory),
    summary,
    faults.length === 0 ? 'passed' : `FAILED\n${faults.join('\n')}`
  ]
  return { text: text.join('\n\n'), passed: faults.length === 0 }
}

function row(time: string, { heap, rss, descriptors, inFlight }: GatewayReport): string[] {
  return [time, (heap / MEBI).toFixed(1), (rss / MEBI).toFixed(0), String(descriptors), String(inFlight)]
}

function quarter(samples: readonly GatewayReport[], index: number): readonly GatewayReport[] {
  const size = samples.length / 4
  return samples.slice(Math.floor(index * size), Math.ceil((index + 1) * size))
}

function meanHeap(samples: readonly GatewayReport[]): number {
  return samples.reduce((sum, { heap }) => sum + heap, 0) / Math.max(1, samples.length) / MEBI
}
