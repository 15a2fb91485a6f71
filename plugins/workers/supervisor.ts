import cluster from 'node:cluster'
import { type Ending, WorkerProcess } from './worker-process.ts'

/** A worker that lived at least so long, in milliseconds, is replaced at once. */
const STABLE = 10_000
const FIRST_DELAY = 100
const LONGEST_DELAY = 10_000
/** Milliseconds that a worker has beyond its own time limits, before it is killed. */
const PATIENCE = 5_000

/** What the supervisor has to know of the configuration. */
export interface Settings {
  readonly workers: number
  /** Milliseconds that exchanges under way may take to end. */
  readonly shutdownTimeout: number
}

export interface SupervisorLog {
  info(details: object, message: string): void
  error(details: object, message: string): void
}

/**
 * Keeps a number of workers running: processes of the same program that share what they listen on. Replaces those that
 * die, and all of them, one after the other, on a restart.
 */
export class Supervisor {
  readonly #log: SupervisorLog
  readonly #read: () => Settings
  readonly #workers = new Set<WorkerProcess>()
  #settings: Settings
  /** Workers that died young, without one between them that did not. */
  #failures = 0
  #replacement: NodeJS.Timeout | undefined = undefined
  #rolling = false
  #rollAgain = false
  #stopping = false
  #killed = false

  /**
   * @param read reads the configuration, at first and for every restart
   * @throws what `read` throws
   */
  constructor(log: SupervisorLog, read: () => Settings) {
    this.#log = log
    this.#read = read
    this.#settings = read()
    // Shown by ps, and what tells a worker of this supervisor from one of another.
    cluster.setupPrimary({ args: ['worker'] })
  }

  /**
   * Starts the workers. The first goes ahead, so that what keeps all of them from starting is reported once.
   * @returns how the first worker ended, if it did so before it listened
   */
  async start(): Promise<Ending | undefined> {
    const first = this.#fork()
    const isReady = await first.ready
    if (this.#stopping) return undefined
    if (!isReady) return first.ended
    this.#log.info({ workers: this.#settings.workers }, 'supervising')
    while (this.#missing > 0) this.#fork()
    return undefined
  }

  /** Replaces all workers, each by one that listens before the old one is told to end; keeps them if that fails. */
  async restart(): Promise<void> {
    if (this.#rolling) {
      this.#rollAgain = true
      return
    }
    this.#rolling = true
    do {
      this.#rollAgain = false
      await this.#roll()
    } while (this.#rollAgain && !this.#stopping)
    this.#rolling = false
    this.#replaceMissing()
  }

  /**
   * Has all workers end, and resolves once they have. A second call ends them at once.
   * @returns whether they could end in peace
   */
  async stop(): Promise<boolean> {
    clearTimeout(this.#replacement)
    if (!this.#stopping) this.#log.info({}, 'stopping')
    else this.#killed = true
    for (const worker of this.#workers) {
      if (this.#killed) worker.kill()
      else worker.leave('stop', this.#settings.shutdownTimeout + PATIENCE)
    }
    this.#stopping = true
    while (this.#workers.size > 0) await Promise.race([...this.#workers].map(({ ended }) => ended))
    return !this.#killed
  }

  get #missing(): number {
    return this.#settings.workers - [...this.#workers].filter(({ leaving }) => !leaving).length
  }

  #fork(): WorkerProcess {
    const worker = new WorkerProcess(cluster.fork())
    this.#workers.add(worker)
    void worker.ended.then((ending) => this.#onEnd(worker, ending))
    return worker
  }

  #onEnd(worker: WorkerProcess, ending: Ending): void {
    this.#workers.delete(worker)
    if (this.#stopping) return
    const details = { worker: worker.id, workerPid: worker.pid, ...ending }
    if (worker.leaving) {
      this.#log.info(details, 'a worker has left')
      return
    }
    this.#log.error(details, 'a worker died')
    this.#failures = worker.age < STABLE ? this.#failures + 1 : 0
    this.#replaceMissing()
  }

  /** Waits longer the more of them die young: what kills them may need its time to go away. */
  #replaceMissing(): void {
    // A restart counts on what it finds, and comes back here at its end.
    if (this.#missing <= 0 || this.#rolling || this.#stopping) return
    const delay = this.#failures === 0 ? 0 : Math.min(FIRST_DELAY * 2 ** (this.#failures - 1), LONGEST_DELAY)
    this.#log.info({ delay }, 'replacing')
    clearTimeout(this.#replacement)
    this.#replacement = setTimeout(() => {
      while (!this.#rolling && this.#missing > 0) this.#fork()
    }, delay)
  }

  async #roll(): Promise<void> {
    let settings: Settings
    try {
      settings = this.#read()
    } catch (error) {
      this.#log.error({ err: error }, 'the configuration cannot be used; the workers stay as they are')
      return
    }
    const old = [...this.#workers].filter(({ leaving }) => !leaving)
    for (let i = 0; i < Math.max(old.length, settings.workers); i++) {
      if (i < settings.workers) {
        const fresh = this.#fork()
        const isReady = await fresh.ready
        if (this.#stopping) return
        if (!isReady) {
          this.#log.error({ worker: fresh.id }, 'a new worker did not start; the others stay as they are')
          return
        }
      }
      this.#settings = settings
      old[i]?.leave('drain', settings.shutdownTimeout * 2 + PATIENCE)
    }
    this.#log.info({ workers: settings.workers }, 'restarted')
  }
}
