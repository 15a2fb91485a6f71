import type { Worker } from 'node:cluster'
import { performance } from 'node:perf_hooks'

/** How a process ended: by itself with a code, or by a signal. */
export interface Ending {
  readonly code: number | null
  readonly signal: string | null
}

/** What a supervisor tells a worker: to end without haste, or soon; or that its `settle` has arrived. */
export type Command = 'drain' | 'stop' | 'settled'

/** What a worker tells its supervisor: that connections can come; that it wants its word back, after all before it. */
export type Report = 'listening' | 'settle'

/** A worker, as its supervisor sees it. */
export class WorkerProcess {
  /** Has been told to end. */
  leaving = false
  /** True once it listens; false when it ended before that. */
  readonly ready: Promise<boolean>
  readonly ended: Promise<Ending>
  readonly #worker: Worker
  readonly #startedAt = performance.now()
  #order: Command | undefined = undefined
  #kill: NodeJS.Timeout | undefined = undefined

  constructor(worker: Worker) {
    this.#worker = worker
    this.ended = new Promise((resolve) => {
      worker.once('exit', (code: number | null, signal: string | null) => {
        clearTimeout(this.#kill)
        resolve({ code, signal })
      })
    })
    const listening = new Promise<true>((resolve) => {
      worker.on('message', (message: unknown) => {
        if (message === 'listening') {
          resolve(true)
          // A worker hears nothing of what it is told while it starts.
          if (this.#order !== undefined) this.#tell(this.#order)
        }
        if (message === 'settle') this.#tell('settled')
      })
    })
    this.ready = Promise.race([listening, this.ended.then(() => false)])
    // A worker that ends while it is written to is no error: its end is reported.
    worker.on('error', () => {})
  }

  get id(): number {
    return this.#worker.id
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  /** Milliseconds since it was started. */
  get age(): number {
    return performance.now() - this.#startedAt
  }

  /** @param limit milliseconds after which it is killed */
  leave(command: 'drain' | 'stop', limit: number): void {
    this.leaving = true
    this.#order = command
    clearTimeout(this.#kill)
    this.#kill = setTimeout(() => this.kill(), limit)
    this.#tell(command)
  }

  kill(): void {
    this.leaving = true
    this.#worker.process.kill('SIGKILL')
  }

  #tell(command: Command): void {
    if (this.#worker.isConnected()) this.#worker.send(command)
  }
}
