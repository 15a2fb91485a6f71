import cluster from 'node:cluster'
import type { Command, Report } from './worker-process.ts'

/** What a worker does when its supervisor tells it to. Both may be asked for more than once. */
export interface WorkerDuties {
  /** Takes no more connections, and stops once those that stand are no longer needed. */
  drain(): void
  stop(): void
}

/** The number of this worker, as it stands in the log; undefined in a process that is none. */
export function workerId(): number | undefined {
  return cluster.worker?.id
}

/** Whether this process is a worker of a supervisor of this program. */
export function isWorker(): boolean {
  return cluster.isWorker && process.argv[2] === 'worker'
}

/** A worker's line to its supervisor. */
export interface Membership {
  /** Tells that connections can come. */
  reportListening(): void
  /**
   * Resolves when no connection can be on its way here any more, once this worker listens no longer. The supervisor
   * hands connections out, and one that it had sent to a worker that is gone would be lost.
   */
  settle(): Promise<void>
}

/**
 * Has this worker do as its supervisor says. A terminal sends its signals to all processes, and a service manager may
 * do the same: what becomes of them is for the supervisor to say.
 */
export function joinSupervisor({ drain, stop }: WorkerDuties): Membership {
  let onSettled = () => {}
  process.on('SIGINT', () => {})
  process.on('SIGHUP', () => {})
  process.on('SIGTERM', stop)
  const duties: Record<Command, () => void> = { drain, stop, settled: () => onSettled() }
  process.on('message', (message: unknown) => {
    if (message === 'drain' || message === 'stop' || message === 'settled') duties[message]()
  })
  return {
    reportListening: () => send('listening'),
    settle: () =>
      new Promise((resolve) => {
        onSettled = resolve
        send('settle')
      })
  }
}

function send(report: Report): void {
  process.send?.(report)
}
