import type { DiagnosticsConfig } from '../config/index.ts'
import type { Refusal } from './refusals.ts'

/** What can be taken of a process. */
export type ArtifactKind = 'report' | 'stack' | 'cpu-profile' | 'heap-snapshot'

/** What made it be taken: a request, a signal, an error nobody caught, a blocked event loop, a full heap. */
export type Reason = 'manual' | 'signal' | 'crash' | 'blocked' | 'memory'

/** A file in the folder of the diagnostics. */
export interface Artifact {
  readonly name: string
  readonly kind: ArtifactKind
  readonly reason: Reason
  readonly bytes: number
  /** When it was taken, ISO 8601. */
  readonly taken: string
}

/** An artifact that was just taken. */
export interface Taken extends Artifact {
  /** Milliseconds it took. */
  readonly ms: number
  /** Milliseconds of those in which the main thread was stopped, where that is known. */
  readonly pausedMs?: number
  readonly stack?: Stack
}

/** One variable: its value as text, secrets taken out. */
export interface Variable {
  readonly name: string
  readonly type: string
  readonly value: string
  /** Own properties of an object, one level deep. */
  readonly properties?: readonly Variable[]
}

export interface SourceLine {
  /** From 1. */
  readonly line: number
  readonly text: string
}

export interface Frame {
  readonly function: string
  readonly url: string
  /** Line and column from 1. */
  readonly line: number
  readonly column: number
  /** The line, and a few around it. */
  readonly source: readonly SourceLine[]
  /** Variables of the function and of the blocks within it, the innermost first. */
  readonly locals: readonly Variable[]
  /** Variables of functions around it. */
  readonly closure: readonly Variable[]
}

/** The stack of the main thread, the innermost frame first. */
export interface Stack {
  /** Nothing ran within the time that was given, and nothing but waiting is what it does. */
  readonly idle: boolean
  /** For an error that was thrown. */
  readonly error?: string
  readonly frames: readonly Frame[]
}

export interface TakeOptions {
  /** Length of a CPU profile, 1 to 60. @default 5 */
  readonly seconds?: number
  /** How long to wait for the main thread to run something, for a stack, or to begin with a heap snapshot. @default 1000 */
  readonly timeoutMs?: number
}

/** What the worker is started with. */
export interface WorkerData {
  readonly config: DiagnosticsConfig
  readonly token: string
  readonly directory: string
  /** How many ports to try, from that of the configuration on. */
  readonly ports: number
  /** Beats of the main thread; there only if a blocked event loop is watched for. */
  readonly heartbeat: SharedArrayBuffer | undefined
  /** Of a CrashSignal; there only if the variables of crashes are kept. */
  readonly crash: SharedArrayBuffer | undefined
}

/** From the main thread to the worker. */
export type ToWorker =
  | { readonly type: 'take'; readonly id: number; readonly kind: ArtifactKind; readonly options: TakeOptions }
  | { readonly type: 'crash'; readonly error: string }

/** From the worker to the main thread. */
export type FromWorker =
  | { readonly type: 'listening'; readonly address: string }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'taken'; readonly artifact: Artifact }
  | { readonly type: 'refused'; readonly refusal: Refusal }
  | { readonly type: 'done'; readonly id: number; readonly taken: Taken }
  | {
      readonly type: 'rejected'
      readonly id: number
      readonly status: number
      readonly code: string
      readonly message: string
    }
