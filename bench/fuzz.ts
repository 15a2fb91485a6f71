import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { fuzzInWorkers } from './fuzz/shares.ts'
import { table } from './measure.ts'

const PROGRESS = 1_000_000

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) }
  }
})
const seed = Number(values.seed)
const start = performance.now()
const result = await fuzzInWorkers({
  count: Number(values.count),
  seed,
  workers: Number(values.workers),
  onProgress: (done) => {
    if (done % PROGRESS === 0) console.error(`${done} after ${seconds()} s`)
  }
})

const { count, accepted, refused, differences } = result
console.log(`Node ${process.version}, seed ${seed}: ${count} responses in ${seconds()} s, ${accepted} taken by both\n`)
const reasons = [...refused].sort((a, b) => b[1] - a[1]).map(([reason, times]) => [reason, String(times)])
console.log(table(['refused by the gateway', 'responses'], reasons))
console.log(`${differences.length} differences`)
for (const difference of differences) console.log(JSON.stringify(difference))
process.exitCode = differences.length > 0 ? 1 : 0

function seconds(): string {
  return ((performance.now() - start) / 1_000).toFixed(0)
}
