import { parseArgs } from 'node:util'
import { BEHAVIOURS, NO_FAULTS, parseFaults, targetsWith } from './chaos/behaviour.ts'
import type { ChaosLoadResult } from './chaos/load.ts'
import { chaos } from './chaos/run.ts'
import { PLAIN, RESILIENT } from './chaos/setups.ts'
import { quantile, table } from './measure.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: 'slow,fails fast,flaps,black hole' }
  }
})
const common = { seconds: Number(values.seconds), perSecond: Number(values.rate), seed: Number(values.seed) }
const faults = parseFaults(values.faults)
const behaviours = targetsWith(faults)
const runs = [
  { name: 'ten healthy targets', behaviours: NO_FAULTS, upstream: RESILIENT },
  { name: `${faults.length} bad ones among them`, behaviours, upstream: RESILIENT },
  { name: 'the same, round robin without health', behaviours, upstream: PLAIN }
]

console.log(`Node ${process.version}, ${values.rate} requests/s for ${values.seconds} s, seed ${values.seed}`)
for (const fault of new Set(faults)) console.log(`- ${fault}: ${BEHAVIOURS[fault]}`)
console.log()
const results: [string, ChaosLoadResult][] = []
for (const { name, ...run } of runs) results.push([name, await chaos({ ...run, ...common })])
console.log(
  table(
    ['chaos', 'requests', 'errors', 'errors %', 'p50 ms', 'p99 ms', 'p99.9 ms'],
    results.map(([name, { requests, errors, latencies }]) => {
      const count = [...errors.values()].reduce((sum, each) => sum + each, 0)
      const times = [0.5, 0.99, 0.999].map((share) => quantile(latencies, share).toFixed(0))
      return [name, String(requests), String(count), ((count / requests) * 100).toFixed(3), ...times]
    })
  )
)
for (const [name, { errors }] of results) {
  if (errors.size > 0) console.log(`${name}: ${[...errors].map(([error, count]) => `${error} ${count}`).join(', ')}`)
}
