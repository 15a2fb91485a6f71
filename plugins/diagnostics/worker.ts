import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { Artifacts } from './artifacts.ts'
import { CrashLocals, CrashSignal } from './crash-locals.ts'
import { Jobs } from './jobs.ts'
import { scrubLeftOvers } from './left-overs.ts'
import { createListener, describe } from './listener.ts'
import { Refusals } from './refusals.ts'
import { Scrubber } from './secrets.ts'
import type { Artifact, FromWorker, ToWorker, WorkerData } from './types.ts'
import { Watchdog } from './watchdog.ts'

const { config, token, directory, ports, heartbeat, crash }: WorkerData = workerData

function tell(message: FromWorker): void {
  parentPort?.postMessage(message)
}

/** The worker shares the environment of the main thread, as it is at the moment. */
function scrubber(): Scrubber {
  return new Scrubber(process.env, [token])
}

async function start(): Promise<void> {
  const artifacts = new Artifacts(directory)
  scrubLeftOvers(artifacts, scrubber())
  artifacts.prune(config.maxFiles, config.maxBytes)
  const onTaken = (artifact: Artifact) => tell({ type: 'taken', artifact })
  const jobs = new Jobs(config, artifacts, scrubber, onTaken)
  const refusals = new Refusals((refusal) => tell({ type: 'refused', refusal }))
  const server = createListener({ token, jobs, artifacts, onRefused: (refusal) => refusals.add(refusal) })
  const locals = crash && new CrashLocals({ artifacts, scrubber, onTaken, isBusy: () => jobs.busy })
  parentPort?.on('message', (message: ToWorker) => {
    if (message.type === 'take') return serve(jobs, message)
    try {
      locals?.keep(message.error)
    } finally {
      if (crash !== undefined) new CrashSignal(crash).done()
    }
  })
  await listen(server)
  await locals?.start()
  if (heartbeat !== undefined) new Watchdog(heartbeat, config.blockedAfter, jobs).start()
  tell({ type: 'listening', address: addressOf(server.address()) })
}

/** Processes that share a configuration have one port each. */
async function listen(server: Server): Promise<void> {
  for (let port = config.port; ; port++) {
    try {
      server.listen(port, config.host)
      await once(server, 'listening')
      return
    } catch (error) {
      const isTaken = error instanceof Error && Reflect.get(error, 'code') === 'EADDRINUSE'
      if (!isTaken || port === config.port + ports - 1 || port === 65_535) throw error
    }
  }
}

function serve(jobs: Jobs, { id, kind, options }: Extract<ToWorker, { type: 'take' }>): void {
  jobs.take(kind, 'manual', options).then(
    (taken) => tell({ type: 'done', id, taken }),
    (error: unknown) => tell({ type: 'rejected', id, ...describe(error) })
  )
}

function addressOf(address: AddressInfo | string | null): string {
  if (typeof address === 'string' || address === null) return String(address)
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
}

try {
  await start()
} catch (error) {
  tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) })
}
