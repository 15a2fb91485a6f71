import type { Debugger } from 'node:inspector'
import type { Artifacts } from './artifacts.ts'
import { MainThread, within } from './main-thread.ts'
import type { Scrubber } from './secrets.ts'
import { followScripts, readFrames, type Scripts } from './stack.ts'
import type { Artifact, Stack } from './types.ts'

/** Errors of handlers that Fastify answers, V8 may take for uncaught. Each of them stops the thread for milliseconds. */
const MOST = 200
const MAX_TEXT = 16_384
const MAX_MESSAGE = 256

interface Parts {
  readonly artifacts: Artifacts
  readonly scrubber: () => Scrubber
  readonly onTaken: (artifact: Artifact) => void
  /** Whether a pause is someone else's. */
  readonly isBusy: () => boolean
}

/** How the main thread says that it dies of the last error, and waits for that to be kept. */
export class CrashSignal {
  readonly #state: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#state = new Int32Array(buffer)
  }

  /** On the main thread: stops it until the worker is done, a second at most. */
  raise(wake: () => void): void {
    Atomics.store(this.#state, 0, 1)
    wake()
    Atomics.wait(this.#state, 0, 1, 1_000)
  }

  /** In the worker. */
  done(): void {
    Atomics.store(this.#state, 0, 2)
    Atomics.notify(this.#state, 0)
  }
}

/**
 * Has the main thread stop where an error is thrown that nobody seems to catch, and remembers the last one with its
 * variables. V8 only guesses who will catch, so that it is written by `keep`, once the process dies of it.
 */
export class CrashLocals {
  readonly #parts: Parts
  readonly #thread = new MainThread()
  readonly #scripts: Scripts
  #last: { readonly thrown: string; readonly stack: Stack } | undefined
  #left = MOST

  constructor(parts: Parts) {
    this.#parts = parts
    this.#scripts = followScripts(this.#thread)
  }

  async start(): Promise<void> {
    const { session } = this.#thread
    session.on('Debugger.paused', ({ params }) => void this.#onPaused(params).catch(() => {}))
    await within(session.post('Debugger.enable'))
    await within(session.post('Debugger.setPauseOnExceptions', { state: 'uncaught' }))
  }

  /** Writes it, if it is of this error: that of another one would mislead. */
  keep(error: string): void {
    if (this.#last === undefined || !this.#last.thrown.includes(error)) return
    const { artifacts, onTaken } = this.#parts
    onTaken(artifacts.write('stack', 'crash', `${JSON.stringify(this.#last.stack, null, 2)}\n`))
  }

  async #onPaused({ reason, callFrames, data }: Debugger.PausedEventDataType): Promise<void> {
    const isThrown = reason === 'exception' || reason === 'promiseRejection'
    // The pause of an artifact that is being taken.
    if (!isThrown && this.#parts.isBusy()) return
    const { session } = this.#thread
    try {
      if (isThrown) this.#last = await this.#read(callFrames, data)
    } finally {
      await session.post('Debugger.resume')
    }
    if (isThrown && --this.#left === 0) this.#thread.disconnect()
  }

  async #read(callFrames: readonly Debugger.CallFrame[], data: object = {}): Promise<{ thrown: string; stack: Stack }> {
    const clean = this.#parts.scrubber()
    const thrown = String(Reflect.get(data, 'description') ?? Reflect.get(data, 'value')).slice(0, MAX_TEXT)
    const frames = await readFrames(this.#thread, callFrames, this.#scripts, clean)
    return { thrown, stack: { idle: false, error: clean.text(thrown), frames } }
  }
}

/** What the debugger says of that error, too. Empty where it says something else: of other objects, and rejections of such. */
export function describeThrown(error: unknown): string {
  try {
    if (!(error instanceof Error)) return typeof error === 'object' ? '' : String(error).slice(0, MAX_MESSAGE)
    return Reflect.get(error, 'code') === 'ERR_UNHANDLED_REJECTION' ? '' : String(error.message).slice(0, MAX_MESSAGE)
  } catch {
    // Getters of the error itself: what they throw would take its place, and the exit code.
    return ''
  }
}
