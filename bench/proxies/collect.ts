import { writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Loaded before a program: at each SIGWINCH, garbage is collected, and what is left written to the file BENCH_MEMORY. */
setFlagsFromString('--expose-gc')
const collect: unknown = runInNewContext('gc')
// A signal that ends no program: close-with-grace takes SIGUSR2 for one that does.
process.on('SIGWINCH', () => {
  // Twice, as what a finalizer lets go of is collected by the second.
  if (typeof collect === 'function') for (let i = 0; i < 2; i++) collect()
  const { heapUsed, external, rss } = process.memoryUsage()
  const file = process.env.BENCH_MEMORY
  if (file !== undefined) writeFileSync(file, JSON.stringify({ used: heapUsed + external, rss }))
})
