import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { DiagnosticsConfig } from '../config/index.ts'
import {
  DiagnosticsBusyError,
  DiagnosticsDiskError,
  DiagnosticsIntervalError,
  DiagnosticsRequestError
} from '../errors.ts'
import type { Artifacts } from './artifacts.ts'
import { takeCpuProfile } from './cpu-profile.ts'
import { scrubSnapshot, takeHeapSnapshot } from './heap-snapshot.ts'
import { MainThread } from './main-thread.ts'
import { cleanReport } from './report.ts'
import type { Scrubber } from './secrets.ts'
import { takeStack } from './stack.ts'
import type { Artifact, ArtifactKind, Reason, Stack, Taken, TakeOptions } from './types.ts'

// Names of interfaces and of peers take time to look up, and say who is there. Asked of the main thread as source text.
const REPORT = `(() => {
  const { report } = process
  const before = report.excludeNetwork
  report.excludeNetwork = true
  try { return report.getReport() } finally { report.excludeNetwork = before }
})()`

interface Captured {
  readonly content: string | Uint8Array
  readonly pausedMs?: number
  readonly stack?: Stack
}

/** Takes artifacts of the main thread, one at a time, within the limits of the configuration. */
export class Jobs {
  readonly #config: DiagnosticsConfig
  readonly #artifacts: Artifacts
  readonly #scrubber: () => Scrubber
  readonly #onTaken: (artifact: Artifact) => void
  #busy = false
  #last = Number.NEGATIVE_INFINITY

  /** @param scrubber what knows the secrets of this moment */
  constructor(
    config: DiagnosticsConfig,
    artifacts: Artifacts,
    scrubber: () => Scrubber,
    onTaken: (artifact: Artifact) => void
  ) {
    this.#config = config
    this.#artifacts = artifacts
    this.#scrubber = scrubber
    this.#onTaken = onTaken
  }

  get busy(): boolean {
    return this.#busy
  }

  /** Milliseconds until the next artifact may be taken; while one is being taken, the least it can be. */
  get wait(): number {
    const last = this.#busy ? performance.now() : this.#last
    return Math.max(0, Math.ceil(last + this.#config.minInterval - performance.now()))
  }

  /**
   * @throws DiagnosticsBusyError, DiagnosticsIntervalError, DiagnosticsHeapError, DiagnosticsDiskError,
   * DiagnosticsTimeoutError, DiagnosticsRequestError
   */
  async take(kind: ArtifactKind, reason: Reason, options: TakeOptions = {}): Promise<Taken> {
    const { seconds = 5, timeoutMs = 1_000 } = options
    if (!(seconds >= 1 && seconds <= 60)) throw new DiagnosticsRequestError('seconds are 1 to 60')
    if (!(timeoutMs >= 1 && timeoutMs <= 60_000)) throw new DiagnosticsRequestError('timeoutMs is 1 to 60000')
    if (this.#busy) throw new DiagnosticsBusyError()
    const { wait } = this
    if (wait > 0) throw new DiagnosticsIntervalError(wait)
    this.#checkDisk()
    this.#busy = true
    const from = performance.now()
    try {
      const { content, pausedMs, stack } = await this.#capture(kind, { seconds, timeoutMs })
      const artifact = this.#artifacts.write(kind, reason, content)
      this.#artifacts.prune(this.#config.maxFiles, this.#config.maxBytes)
      this.#onTaken(artifact)
      const ms = Math.round(performance.now() - from)
      return {
        ...artifact,
        ms,
        ...(pausedMs === undefined ? {} : { pausedMs: Math.round(pausedMs) }),
        ...(stack === undefined ? {} : { stack })
      }
    } finally {
      this.#busy = false
      this.#last = performance.now()
    }
  }

  #checkDisk(): void {
    const free = this.#artifacts.free()
    if (free < this.#config.minFree) throw new DiagnosticsDiskError(free, this.#config.minFree)
  }

  async #capture(kind: ArtifactKind, { seconds, timeoutMs }: Required<TakeOptions>): Promise<Captured> {
    const scrubber = this.#scrubber()
    // A session for each: whatever went wrong with one, the next has nothing of it.
    const thread = new MainThread()
    try {
      if (kind === 'report') return { content: cleanReport(scrubber, Object(await thread.evaluate(REPORT))) }
      if (kind === 'stack') {
        const { stack, pausedMs } = await takeStack(thread, scrubber, timeoutMs)
        return { content: `${JSON.stringify(stack, null, 2)}\n`, pausedMs, stack }
      }
      if (kind === 'cpu-profile') {
        return { content: JSON.stringify(scrubber.json(await takeCpuProfile(thread, seconds))) }
      }
      const { json, pausedMs } = await takeHeapSnapshot(thread, this.#config.maxHeap, timeoutMs)
      thread.disconnect()
      const clean = scrubSnapshot(json, scrubber, this.#config.heapStrings)
      return { content: await promisify(gzip)(clean, { level: 1 }), pausedMs }
    } finally {
      thread.disconnect()
    }
  }
}
