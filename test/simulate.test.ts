import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { quantile } from '../bench/measure.ts'
import { type SimulationResult, simulate } from '../bench/simulate/engine.ts'
import { EventQueue } from '../bench/simulate/event-queue.ts'
import { plotLatencies } from '../bench/simulate/plot.ts'
import { createRandom, createZipf, lognormal } from '../bench/simulate/random.ts'
import {
  formatTime,
  KEYED,
  renderErrors,
  renderKeyed,
  renderLatencies,
  runScenarios,
  STRATEGIES,
  timed
} from '../bench/simulate/report.ts'
import { scenarios } from '../bench/simulate/scenarios.ts'
import { seeded } from './balancer-helper.ts'

test('a simulation is the same each time, and another with another seed', () => {
  const [first, again, other] = [1, 1, 2].map((seed) => run('noisy', 'least-response-time', { seed }))

  assert.deepEqual(again, first)
  assert.notDeepEqual(other, first)
})

test('drawing at random gives the response time of queueing theory', () => {
  const { latencies } = run('even', 'random', { duration: 40_000 })
  const mean = latencies.reduce((sum, latency) => sum + latency, 0) / latencies.length

  // M/M/4 with a load of 0.8 and a service of 10 ms: Erlang C is 0.596, so 10 + 0.596 x 10 / (4 x 0.2) ms.
  assert.ok(Math.abs(mean - 17.46) < 1.2, `${mean} ms`)
})

test('where nobody waits, requests take their time of service', () => {
  const { latencies, largestShare } = run('low', 'round-robin')

  assert.ok(Math.abs(quantile(latencies, 0.5) - 10 * Math.LN2) < 0.5)
  assert.ok(largestShare < 0.115, `${largestShare}`)
})

// What the documentation says of the strategies, in runs that are shorter than those it quotes.
const tails = [
  { scenario: 'slow', order: ['least-response-time', 'least-connections', 'round-robin'], factor: 1.05 },
  { scenario: 'crawl', order: ['least-response-time', 'p2c', 'random'], factor: 1.3 },
  { scenario: 'noisy-8', order: ['least-response-time', 'least-connections', 'round-robin'], factor: 1.4 },
  { scenario: 'noisy-8', order: ['least-response-time', 'peak-ewma', 'random'], factor: 1.4 },
  { scenario: 'stall', order: ['least-response-time', 'round-robin'], factor: 10 },
  { scenario: 'even', order: ['least-connections', 'round-robin', 'random'], factor: 1.1 },
  { scenario: 'hot-keys', order: ['bounded-consistent-hash', 'maglev'], factor: 10 }
]
for (const { scenario, order, factor } of tails) {
  test(`${scenario}: the tail grows from ${order.join(' to ')}, each time by a factor of ${factor} at least`, () => {
    const times = order.map((strategy) => quantile(run(scenario, strategy, { duration: 10_000 }).latencies, 0.99))

    for (const [index, time] of times.entries()) {
      assert.ok(index === 0 || time > (times[index - 1] ?? 0) * factor, times.map(formatTime).join(', '))
    }
  })
}

test('a target that fails at once attracts least-connections, and not least-response-time', () => {
  const [idle, turns, fast] = ['least-connections', 'round-robin', 'least-response-time'].map(
    (strategy) => run('fast-errors', strategy).errors
  )

  assert.ok(idle !== undefined && turns !== undefined && fast !== undefined)
  assert.ok(idle > turns * 2 && turns > 0.05 && fast < 0.005, `${idle} ${turns} ${fast}`)
})

test('a bound on the load keeps most keys at home', () => {
  const [plain, bounded, none] = ['consistent-hash', 'bounded-consistent-hash', 'p2c'].map(
    (strategy) => run('hot-keys', strategy).affinity
  )

  assert.equal(plain, 1)
  assert.ok(bounded !== undefined && none !== undefined && bounded > 0.55 && none < 0.35, `${bounded} ${none}`)
})

test('events come in the order of their time', () => {
  const random = seeded(5)
  const queue = new EventQueue<{ time: number }>()
  const times = Array.from({ length: 500 }, () => Math.floor(random() * 100))
  const popped: number[] = []

  for (const [index, time] of times.entries()) {
    queue.push({ time })
    if (index % 5 === 4) queue.push({ time: (queue.pop()?.time ?? 0) + 0.5 })
  }
  for (let event = queue.pop(); event !== undefined; event = queue.pop()) popped.push(event.time)

  assert.equal(popped.length, times.length)
  assert.deepEqual(
    popped,
    [...popped].sort((a, b) => a - b)
  )
})

test('the random numbers have the distributions that they should have', () => {
  const draws = (draw: () => number) => Array.from({ length: 20_000 }, draw)
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const random = createRandom(7, 1)
  const zipf = createZipf(random, 10)

  assert.ok(Math.abs(mean(draws(random)) - 0.5) < 0.01)
  assert.ok(Math.abs(mean(draws(() => lognormal(random, 10, 1))) - 10) < 0.5)
  // 1 / (1 + 1/2 + ... + 1/10)
  assert.ok(Math.abs(draws(zipf).filter((index) => index === 0).length / 20_000 - 0.341) < 0.015)
  assert.notEqual(createRandom(7, 2)(), createRandom(7, 1)())
})

test('the report has a row for each scenario and a column for each strategy, and so has the page', () => {
  const reports = runScenarios({ duration: 2_300, seeds: [1] })
  const page = readFileSync('docs/choosing-a-strategy.md', 'utf8')
  const plot = readFileSync('docs/images/strategies-p99.svg', 'utf8')

  for (const [name, table] of Object.entries({
    latencies: renderLatencies(reports),
    errors: renderErrors(reports),
    keys: renderKeyed(reports)
  })) {
    const written = new RegExp(`<!-- ${name} -->\n([\\s\\S]*?)<!-- /${name} -->`).exec(page)?.[1]
    assert.deepEqual(labelsOf(written ?? ''), labelsOf(table), 'npm run simulate -- --write')
  }
  assert.deepEqual(textsOf(plot), textsOf(plotLatencies(reports)), 'npm run simulate -- --write')
  assert.equal(timed(reports).length, scenarios.length - 2)
  assert.equal(reports.find(({ scenario }) => scenario.keys !== undefined)?.results.length, KEYED.length)
  assert.ok(STRATEGIES.every((strategy) => page.includes(strategy)))
})

for (const [milliseconds, expected] of [
  [7.44, '7.4 ms'],
  [47.4, '47 ms'],
  [999, '999 ms'],
  [1_440, '1.4 s'],
  [81_600, '82 s']
] as const) {
  test(`${milliseconds} milliseconds are written as ${expected}`, () => {
    assert.equal(formatTime(milliseconds), expected)
  })
}

function run(
  name: string,
  strategy: string,
  { seed = 1, duration = 6_000 }: { seed?: number; duration?: number } = {}
): SimulationResult {
  const scenario = scenarios.find((each) => each.name === name)
  assert.ok(scenario)
  return simulate({ scenario, strategy, duration }, [seed])
}

/** The first cells of a table's rows and all of its head. */
function labelsOf(table: string): string[] {
  const [head = '', , ...rows] = table.trim().split('\n')
  return [...head.split('|'), ...rows.map((row) => row.split('|')[1] ?? '')].map((cell) => cell.trim())
}

function textsOf(svg: string): string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text = '']) => text)
}
