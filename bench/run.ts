import { cpus } from 'node:os'
import { benchRollingRestart } from './rolling-restart.ts'
import { benchRoutes } from './routes.ts'
import { benchSmallGet } from './small-get.ts'
import { benchStrategies } from './strategies.ts'

const benchmarks = {
  'small-get': benchSmallGet,
  routes: benchRoutes,
  strategies: benchStrategies,
  'rolling-restart': benchRollingRestart
} as const

const words = process.argv.slice(2)
const quick = words.includes('--quick')
const wanted = words.filter((word) => !word.startsWith('--'))

console.log(`Node ${process.version}, ${cpus().length} processors (${cpus()[0]?.model.trim()}), medians\n`)
for (const [name, run] of Object.entries(benchmarks)) {
  if (wanted.length === 0 || wanted.includes(name)) console.log(await run(quick))
}
