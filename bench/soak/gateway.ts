import { readdirSync } from 'node:fs'
import { buildApp } from '../../app.ts'
import { portOf } from '../port.ts'

/** What the process of the gateway holds, garbage aside. */
export interface GatewayReport {
  readonly heap: number
  readonly rss: number
  /** Open descriptors; 0 where the system does not tell. */
  readonly descriptors: number
  readonly inFlight: number
}

const { app } = await buildApp()
await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.(portOf(app.server))

process.on('message', () => {
  globalThis.gc?.()
  const { heapUsed: heap, rss } = process.memoryUsage()
  const targets = app.balancers.names.flatMap((name) => app.balancers.get(name).targets)
  const inFlight = targets.reduce((sum, target) => sum + target.inFlight, 0)
  const report: GatewayReport = { heap, rss, descriptors: countDescriptors(), inFlight }
  process.send?.(report)
})
process.on('disconnect', () => process.exit())

function countDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}
