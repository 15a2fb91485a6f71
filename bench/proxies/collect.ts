import { writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Loaded before a program: at each SIGUSR2, garbage is collected, and what is left written to the file BENCH_MEMORY. */
setFlagsFromString('--expose-gc')
const collect: unknown = runInNewContext('gc')
process.on('SIGUSR2', () => {
  // Twice, as what a finalizer lets go of is collected by the second.
  if (typeof collect === 'function') for (let i = 0; i < 2; i++) collect()
  const { heapUsed, external, rss } = process.memoryUsage()
  const file = process.env.BENCH_MEMORY
  if (file !== undefined) writeFileSync(file, JSON.stringify({ used: heapUsed + external, rss }))
})
