import { cpus } from 'node:os'
import { compare } from './compare.ts'
import { benchFixedRate } from './fixed-rate.ts'
import { benchIdleClients } from './idle-clients.ts'
import { benchMemoryRun } from './memory-run.ts'
import { pins } from './process.ts'
import { type Contender, proxies } from './proxies/index.ts'
import { writeResults } from './results.ts'
import { benchRollingRestart } from './rolling-restart.ts'
import { benchRoutes } from './routes.ts'
import { type Scenario, scenarios } from './scenarios.ts'
import { benchStrategies } from './strategies.ts'
import { describeMachine } from './versions.ts'

type Part = (quick: boolean, proxies: readonly Contender[]) => Promise<string>

const parts: Readonly<Record<string, Part>> = {
  ...Object.fromEntries(Object.entries(scenarios).map(([name, scenario]) => [name, comparison(scenario)])),
  'fixed-rate': benchFixedRate,
  'idle-clients': benchIdleClients,
  'memory-run': benchMemoryRun,
  routes: benchRoutes,
  strategies: benchStrategies,
  'rolling-restart': benchRollingRestart
}
/** Too long to be part of every run; measured when they are named. */
const SEPARATE = ['memory-run']

const words = process.argv.slice(2)
const quick = words.includes('--quick')
const named = words.filter((word) => !word.startsWith('--'))
const known = [...Object.keys(parts), ...proxies.map(({ name }) => name)]
const unknown = named.filter((name) => !known.includes(name))
if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(', ')}; there are ${known.join(', ')}`)
const chosen = proxies.filter(({ name }) => named.includes(name))
const wanted = Object.keys(parts).filter((name) => named.includes(name))
const whole = named.length === 0

const date = new Date()
console.log(`Node ${process.version}, ${cpus().length} processors (${cpus()[0]?.model.trim()}), medians`)
console.log(pins ? 'Origin on processor 0, proxies on processor 1.\n' : 'Processes are not pinned to processors.\n')
const tables = new Map<string, string>()
const todo = wanted.length > 0 ? wanted : Object.keys(parts).filter((name) => !SEPARATE.includes(name))
for (const [index, name] of todo.entries()) {
  const begin = performance.now()
  process.stderr.write(`${index + 1}/${todo.length} ${name} ... `)
  // What is measured so far shall not be lost.
  const text = await parts[name]?.(quick, chosen.length > 0 ? chosen : proxies).catch(brokeOff)
  process.stderr.write(`${((performance.now() - begin) / 1_000).toFixed(0)} s\n`)
  tables.set(name, text ?? '')
  console.log(`${text}\n`)
}
if (words.includes('--write')) {
  const [major = ''] = process.versions.node.split('.')
  writeResults({ major, date: date.toISOString().slice(0, 10), machine: describeMachine(date), whole, tables })
}

function comparison(scenario: Scenario): Part {
  return (quick, contenders) => {
    const rounds = quick ? 2 : 7
    const requests = quick ? Math.ceil(scenario.requests / 20) : scenario.requests
    return compare(scenario, contenders, { rounds, requests })
  }
}

function brokeOff(error: unknown): string {
  process.exitCode = 1
  return `This part broke off: ${error instanceof Error ? error.message : String(error)}`
}
