import { memoryUsage } from 'node:process'
import { buildApp } from '../../app.ts'
import { portOf } from '../port.ts'
import { type Counts, listenersOnSockets, startCounting, stopCounting } from './counters.ts'

/** What the gateway did between two messages. */
export interface GuardReport {
  readonly counts: Counts
  readonly bytes: number
  readonly listeners: number
}

const { app } = await buildApp()
for (let layer = 0; layer < Number(process.env.BENCH_LAYERS ?? 0); layer++) {
  app.middleware.use({ name: `layer-${layer}`, onRequest() {}, onResponse() {} })
}
await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.(portOf(app.server))

let bytesBefore = 0
process.on('message', (what) => {
  if (what === 'count') startCounting()
  if (what === 'weigh') {
    globalThis.gc?.()
    bytesBefore = memoryUsage().heapUsed
  }
  if (what === 'report') {
    const report: GuardReport = {
      bytes: memoryUsage().heapUsed - bytesBefore,
      counts: stopCounting(),
      listeners: listenersOnSockets()
    }
    process.send?.(report)
    return
  }
  process.send?.('begun')
})
process.on('disconnect', () => process.exit())
