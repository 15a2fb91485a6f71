import cluster from 'node:cluster'
import { resolve } from 'node:path'
import { SHARE_ENV, Worker } from 'node:worker_threads'
import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { type DiagnosticsConfig, type GatewayOptions, parseOptions } from '../config/index.ts'
import { DiagnosticsUnavailableError } from '../errors.ts'
import { Artifacts } from './artifacts.ts'
import { CrashSignal, describeThrown } from './crash-locals.ts'
import { hookProcess } from './process-hooks.ts'
import type { Artifact, ArtifactKind, FromWorker, Taken, TakeOptions, ToWorker, WorkerData } from './types.ts'
import { beat } from './watchdog.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Looks inside this process; there only if diagnostics are enabled. */
    diagnostics?: Diagnostics
  }
}

export interface Diagnostics {
  /** Base URL of the listener. */
  readonly address: string
  /**
   * Takes an artifact, within the limits of the configuration. Rejects with an error that has the `code` and the
   * `statusCode` of the listener's answer.
   */
  take(kind: ArtifactKind, options?: TakeOptions): Promise<Taken>
  /** The artifacts there are, the oldest first. */
  list(): Artifact[]
}

/** The part `diagnostics` of the configuration. */
export type DiagnosticsOptions = NonNullable<GatewayOptions['diagnostics']>

export type { Artifact, ArtifactKind, Frame, Reason, Stack, Taken, TakeOptions, Variable } from './types.ts'

/** Workers of one gateway, those included that end while others begin, take the next free port. */
const WORKER_PORTS = 128

// A signal, the errors nobody catches and the debugger are the process's: two of these would write everything twice.
let isRunning = false

/**
 * A listener of its own on loopback, through which one may look inside this process, and reports of how it ended. Does
 * nothing unless `enabled`. Throws InvalidConfigError, and DiagnosticsUnavailableError if the listener cannot listen or
 * the folder cannot be used, at boot.
 */
const diagnostics: FastifyPluginAsync<DiagnosticsOptions> = async (fastify, options) => {
  const config = parseOptions({ diagnostics: options }).diagnostics
  const { enabled, token } = config
  if (!enabled || token === undefined) return
  if (isRunning) throw new DiagnosticsUnavailableError('they run already in this process')

  isRunning = true
  try {
    await run(fastify, config, token)
  } catch (error) {
    isRunning = false
    throw error
  }
}

async function run(fastify: FastifyInstance, config: DiagnosticsConfig, token: string): Promise<void> {
  const { blockedAfter } = config
  const artifacts = new Artifacts(resolve(config.directory))
  const heartbeat = blockedAfter > 0 ? new SharedArrayBuffer(4) : undefined
  const crash = config.crashLocals ? new SharedArrayBuffer(4) : undefined
  const worker = await DiagnosticsWorker.start(
    { config, token, directory: artifacts.directory, ports: cluster.isWorker ? WORKER_PORTS : 1, heartbeat, crash },
    fastify.log
  )
  const signal = crash && new CrashSignal(crash)
  const unhook = hookProcess(config, token, artifacts, fastify.log, (error) => {
    signal?.raise(() => worker.crash(error))
  })
  let beats: NodeJS.Timeout | undefined
  fastify.addHook('onReady', async () => {
    if (heartbeat !== undefined) beats = beat(heartbeat, blockedAfter)
  })
  fastify.decorate('diagnostics', {
    address: worker.address,
    take: (kind, takeOptions = {}) => worker.take(kind, takeOptions),
    list: () => artifacts.list()
  })
  fastify.addHook('onClose', async () => {
    clearInterval(beats)
    unhook()
    await worker.stop()
    isRunning = false
  })
  fastify.log.info(`Diagnostics listening at ${worker.address}`)
}

interface Waiting {
  readonly resolve: (taken: Taken) => void
  readonly reject: (error: Error) => void
}

/** The worker as the main thread sees it. */
class DiagnosticsWorker {
  readonly address: string
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  private constructor(worker: Worker, address: string, log: FastifyBaseLogger) {
    this.#worker = worker
    this.address = address
    worker.on('message', (message: FromWorker) => this.#onMessage(message, log))
    worker.on('error', (err) => log.error({ err }, 'diagnostics ended with an error'))
    worker.on('exit', () => this.#rejectAll())
  }

  static start(workerData: WorkerData, log: FastifyBaseLogger): Promise<DiagnosticsWorker> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(entry(), { workerData, env: SHARE_ENV, name: 'diagnostics' })
      const fail = (reason: string) => {
        reject(new DiagnosticsUnavailableError(reason))
        void worker.terminate()
      }
      worker.once('error', (error) => fail(error.message))
      worker.once('message', (message: FromWorker) => {
        if (message.type !== 'listening') return fail(message.type === 'failed' ? message.reason : message.type)
        worker.removeAllListeners('error')
        // Nothing that only looks on keeps a process alive.
        worker.unref()
        resolve(new DiagnosticsWorker(worker, message.address, log))
      })
    })
  }

  take(kind: ArtifactKind, options: TakeOptions): Promise<Taken> {
    const id = ++this.#lastId
    const message: ToWorker = { type: 'take', id, kind, options }
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#worker.ref()
      this.#worker.postMessage(message)
    })
  }

  /** Tells the worker that the process dies of this. */
  crash(error: unknown): void {
    const message: ToWorker = { type: 'crash', error: describeThrown(error) }
    this.#worker.postMessage(message)
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }

  #onMessage(message: FromWorker, log: FastifyBaseLogger): void {
    if (message.type === 'taken') log.warn({ artifact: message.artifact }, 'an artifact was taken')
    if (message.type === 'refused') log.warn({ refused: message.refusal }, 'diagnostics refused a request')
    if (message.type !== 'done' && message.type !== 'rejected') return
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (this.#waiting.size === 0) this.#worker.unref()
    if (message.type === 'done') waiting?.resolve(message.taken)
    else waiting?.reject(Object.assign(new Error(message.message), { code: message.code, statusCode: message.status }))
  }

  #rejectAll(): void {
    for (const { reject } of this.#waiting.values()) reject(new DiagnosticsUnavailableError('they have ended'))
    this.#waiting.clear()
  }
}

/** The file beside this one, compiled or not. */
function entry(): URL {
  return new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
}

export default fp(diagnostics, { name: 'gateway-diagnostics', fastify: '5.x' })
