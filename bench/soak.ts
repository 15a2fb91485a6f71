import { parseArgs } from 'node:util'
import { verdict } from './soak/report.ts'
import { soak } from './soak/run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    clients: { type: 'string', default: '32' }
  }
})
const options = {
  seconds: Number(values.minutes) * 60,
  seed: Number(values.seed),
  clients: Number(values.clients)
}
console.log(`Node ${process.version}, ${values.minutes} minutes, seed ${values.seed}, ${values.clients} clients\n`)
const { text, passed } = verdict(await soak(options))
console.log(text)
process.exitCode = passed ? 0 : 1
