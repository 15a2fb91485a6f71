import assert from 'node:assert/strict'
import { test } from 'node:test'
import { latencyTable } from '../bench/fixed-rate.ts'
import { footprintTable } from '../bench/idle-clients.ts'
import { lineUp } from '../bench/line-up.ts'
import { table } from '../bench/measure.ts'
import { memoryTable } from '../bench/memory-run.ts'
import { plotResults, readPanel } from '../bench/plot.ts'
import { parseStat, sumUp } from '../bench/process-usage.ts'
import { GO, NO_PROXY } from '../bench/proxies/index.ts'
import { withRun } from '../bench/results.ts'
import { report } from '../bench/round.ts'

const round = { cpu: 10, busy: 1, generatorBusy: 0.5, perSecond: 1_000, p50: 1, p99: 2, peak: 80 }
const small = table(
  ['small GET', 'CPU us/request', 'ratio'],
  [
    ['gateway', '40.0', '1.00'],
    ['a & b', '80.0', '2.00'],
    ['broken', '-', '-']
  ]
)
const run = {
  major: '20',
  date: '2026-01-02',
  machine: 'a machine',
  whole: true,
  tables: new Map([
    ['small-get', small],
    ['routes', 'a table']
  ])
}

function cellsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim())
        .slice(1, -1)
    )
}

test('rounds that broke off are errors, and not part of the medians', () => {
  const rounds = [round, { ...round, cpu: 20 }, { ...round, cpu: 30 }]
  const broken = { name: 'b', rounds: [], failures: ['unexpected answer: HTTP/1.1 503\r\nserver: x', 'other'] }
  const text = report('small', [{ name: 'a', rounds, failures: ['no answer'] }, broken], ['c is left out: why'])

  const [, , first, second] = cellsOf(text)
  assert.deepEqual(first, ['a', '20.0', '10.0-30.0', '1.00', '1000', '1.00', '2.00', '80', '1'])
  assert.deepEqual(second, ['b', '-', '-', '-', '-', '-', '-', '-', '2'])
  assert.match(text, /a: 1 rounds broke off, the first with: no answer\n/)
  assert.match(text, /b: 2 rounds broke off, the first with: unexpected answer: HTTP\/1.1 503\n/)
  assert.match(text, /c is left out: why$/)
  assert.doesNotMatch(text, /set the pace/)
})

test('a proxy that had time left is marked, and who set the pace is said', () => {
  const outcomes = (generatorBusy: number) => [
    { name: 'a', rounds: [{ ...round, busy: 0.5, generatorBusy }], failures: [] }
  ]

  assert.equal(cellsOf(report('small', outcomes(0.95), []))[2]?.[4], '1000 *')
  assert.match(report('small', outcomes(0.95), []), /as the load generator set the pace/)
  assert.match(report('small', outcomes(0.4), []), /as the load generator or the origin set the pace/)
})

test('variants of proxies that are not wanted do not take part', () => {
  const proxies = ['a', 'b'].map((name) => ({ name, prepare: () => 'nothing' }))
  const variants = [
    { name: 'a, more', of: 'a', features: { layers: 3 } },
    { name: 'c, more', of: 'c', features: {} }
  ]

  assert.deepEqual(
    lineUp({}, proxies).map(({ name }) => name),
    ['a', 'b']
  )
  assert.deepEqual(lineUp({ variants }, proxies), [{ name: 'a, more', features: { layers: 3 }, proxy: proxies[0] }])
})

test("latencies at a fixed rate are medians over the rounds, with the ratio to Go's 99th percentile", () => {
  const latencies = (scale: number) => Float64Array.from({ length: 1_000 }, (_, i) => ((i + 1) * scale) / 1_000)
  const results = new Map([
    ['gateway', [latencies(2), latencies(4), latencies(6)]],
    [GO, [latencies(2)]]
  ])

  const [, , gateway, go] = cellsOf(latencyTable('at 5/s', results, 3))

  assert.deepEqual(gateway, ['gateway', '2.00', '3.60', '3.96', '4.00', '1.98-5.94', '2.00', '0'])
  assert.deepEqual(go, [GO, '1.00', '1.80', '1.98', '2.00', '1.98-1.98', '1.00', '2'])
})

test('memory of idle clients is told beyond that of plain node:http, and a dash where it is not known', () => {
  const results = new Map([
    ['gateway', [{ used: 10_240, resident: 20_480 }]],
    [NO_PROXY, [{ used: 4_096, resident: 10_240 }]],
    ['other', [{ used: Number.NaN, resident: 1_024 }]],
    ['absent', []]
  ])

  assert.deepEqual(cellsOf(footprintTable('5 idle clients', results)).slice(2), [
    ['gateway', '10.0', '6.0', '20.0', '10.0'],
    [NO_PROXY, '4.0', '0.0', '10.0', '0.0'],
    ['other', '-', '-', '1.0', '-9.0']
  ])
})

test('a memory run has a row for each minute', () => {
  assert.deepEqual(cellsOf(memoryTable([[1, 2, 9], [3]])).slice(2), [
    ['1', '1.0', '2.0', '9.0'],
    ['2', '3.0', '3.0', '3.0']
  ])
})

test('a run writes its section, and leaves those of others and what stands around them alone', () => {
  const page = withRun('# Results\n\nBy hand.\n', run)
  const other = withRun(page, { ...run, major: '24', tables: new Map([['small-get', 'of 24']]) })
  const again = withRun(`${other}\nMore by hand.\n`, { ...run, tables: new Map([['small-get', 'costs $1 and $&']]) })

  assert.match(page, /^# Results\n\nBy hand\.\n\n<!-- node-20 -->\n## Node\.js 20\n/)
  assert.match(other, /a machine[\s\S]*gateway[\s\S]*a table[\s\S]*## Node\.js 24[\s\S]*of 24/)
  assert.match(again, /By hand\.[\s\S]*costs \$1 and \$&\n[\s\S]*of 24[\s\S]*More by hand\.\n$/)
  assert.equal(again.split('<!-- node-20 small-get -->').length, 2)
})

test('a scenario measured by itself takes the place of its table only, and says when that was', () => {
  const page = withRun('# Results\n', run)
  const text = withRun(page, {
    ...run,
    date: '2026-03-04',
    machine: 'other',
    whole: false,
    tables: new Map([['routes', 'new']])
  })

  assert.equal(text, page.replace('a table\n', 'new\n\nBy itself, 2026-03-04.\n'))
})

test('a whole run keeps what is only ever measured by itself', () => {
  const alone = { ...run, whole: false, tables: new Map([['memory-run', 'flat']]) }
  const text = withRun(withRun(withRun('# Results\n', run), alone), run)

  assert.equal(text.match(/flat\n\nBy itself/g)?.length, 1)
})

test('the plot has a bar for each proxy that was measured, in proportion', () => {
  const page = withRun('# Results\n', run)

  assert.deepEqual(readPanel(page, 'small-get'), [
    {
      title: 'small GET',
      bars: [
        { name: 'gateway', value: 40 },
        { name: 'a & b', value: 80 }
      ]
    }
  ])
  assert.deepEqual(readPanel(page, 'get-64k'), [])
  const plot = plotResults('Node.js 20', page)
  assert.match(plot, />a &amp; b</)
  assert.match(plot, /width="110" [\s\S]*width="220" /)
})

test('the usage of a process is that of all below it, whatever they are called', () => {
  const stat = (pid: number, parent: number, ticks: number) =>
    `${pid} (odd) name) S ${parent} ${'0 '.repeat(9)}${ticks} 1 0 0`
  const stats = new Map(
    [stat(1, 0, 1), stat(2, 1, 10), stat(3, 2, 20), stat(4, 1, 100)].map((text, i) => [i + 1, parseStat(text)])
  )
  const status = (pid: number) => `VmHWM:\t  ${pid * 2} kB\nVmRSS:\t  ${pid} kB\n`

  assert.deepEqual(sumUp(2, stats, status), { cpu: 320_000, rss: 5 * 1_024, peak: 10 * 1_024 })
  assert.equal(sumUp(9, stats, status), undefined)
})
