import { cpus } from 'node:os'
import { compare } from './compare.ts'
import { pins } from './process.ts'
import { proxies } from './proxies/index.ts'
import { benchRollingRestart } from './rolling-restart.ts'
import { benchRoutes } from './routes.ts'
import { scenarios } from './scenarios.ts'
import { benchStrategies } from './strategies.ts'

const parts = { routes: benchRoutes, strategies: benchStrategies, 'rolling-restart': benchRollingRestart } as const

const words = process.argv.slice(2)
const quick = words.includes('--quick')
const names = words.filter((word) => !word.startsWith('--'))
const wanted = [...Object.keys(scenarios), ...Object.keys(parts)].filter((name) => names.includes(name))
const chosen = proxies.filter(({ name }) => names.includes(name))
const isWanted = (name: string) => wanted.length === 0 || wanted.includes(name)

console.log(`Node ${process.version}, ${cpus().length} processors (${cpus()[0]?.model.trim()}), medians`)
console.log(pins ? 'Origin on processor 0, proxies on processor 1.\n' : 'Processes are not pinned to processors.\n')
for (const [name, scenario] of Object.entries(scenarios)) {
  if (!isWanted(name)) continue
  const requests = quick ? Math.ceil(scenario.requests / 10) : scenario.requests
  console.log(`${await compare(scenario, chosen.length > 0 ? chosen : proxies, { rounds: quick ? 3 : 7, requests })}\n`)
}
if (chosen.length === 0) {
  for (const [name, run] of Object.entries(parts)) if (isWanted(name)) console.log(await run(quick))
}
