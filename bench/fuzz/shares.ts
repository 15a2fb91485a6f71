import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { FuzzResult, FuzzShare } from './run.ts'

export interface FuzzOptions {
  readonly count: number
  readonly seed: number
  readonly workers: number
  /** Told how many responses are done. */
  readonly onProgress?: (done: number) => void
}

/** Small enough for all workers to end at about the same time; the numbers drawn depend on it. */
const SHARE = 25_000

/** Fuzzes in threads. What is drawn, and so the result, depends on count and seed only. */
export async function fuzzInWorkers({ count, seed, workers, onProgress }: FuzzOptions): Promise<FuzzResult> {
  const shares: FuzzShare[] = Array.from({ length: Math.ceil(count / SHARE) }, (_, stream) => {
    return { seed, stream, count: Math.min(SHARE, count - stream * SHARE) }
  })
  const sum: FuzzResult = { count: 0, accepted: 0, refused: new Map(), differences: [] }
  await Promise.all(
    Array.from({ length: workers }, async () => {
      const worker = new Worker(new URL(`worker${extname(import.meta.url)}`, import.meta.url))
      for (let share = shares.pop(); share !== undefined; share = shares.pop()) {
        const message = once(worker, 'message')
        worker.postMessage(share)
        add(sum, await message.then(([result]: FuzzResult[]) => result))
        onProgress?.(sum.count)
      }
      await worker.terminate()
    })
  )
  return sum
}

function add(sum: FuzzResult, part: FuzzResult | undefined): void {
  if (part === undefined) return
  sum.count += part.count
  sum.accepted += part.accepted
  for (const [reason, times] of part.refused) sum.refused.set(reason, (sum.refused.get(reason) ?? 0) + times)
  sum.differences.push(...part.differences)
}
