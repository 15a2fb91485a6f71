/** Bytes, one character each, repeated ones in short. In `each`, `{i}` is the number of the copy, from 0. */
export type Bytes =
  | string
  | { readonly repeat: string; readonly times: number }
  | { readonly each: string; readonly times: number }

/** What a client does, in order. */
export type ClientStep =
  | Bytes
  /** Waits until it has received this text. */
  | { readonly until: string }
  /** Waits until it has this many complete answers, or the connection is closed. */
  | { readonly answers: number }
  /** Waits for milliseconds. */
  | { readonly pause: number }
  /** `half` closes its own side only. */
  | { readonly leave: 'close' | 'reset' | 'half' }

/** What a target does, in order, with one request. */
export type TargetStep =
  | Bytes
  /** Waits until the client has received this text. */
  | { readonly until: string }
  | { readonly pause: number }
  | { readonly then: 'close' | 'reset' }

export interface TargetScript {
  /** For the first request, the second, and so on; the last one again. @default a 200 with the body "ok" */
  readonly answers?: readonly (readonly TargetStep[])[]
  /** Answers as soon as the head of a request is there. @default false */
  readonly early?: boolean
  /** Closes connections as they come. @default false */
  readonly refuses?: boolean
  /** Sends what arrives behind the head of a request back, with `echo:` before it. @default false */
  readonly echo?: boolean
}

/** What the source of a case allows. Texts are sought without regard to case; `/.../` are regular expressions. */
export interface Allowed {
  /** First final status; `2xx`, `close` (closed without an answer), `nothing` (neither). */
  readonly status?: readonly (number | string)[]
  readonly answers?: Count
  readonly requests?: Count
  /** Text in no request line that reaches the target. */
  readonly noRequest?: readonly string[]
  readonly targetSees?: readonly string[]
  readonly targetMisses?: readonly string[]
  readonly clientSees?: readonly string[]
  readonly clientMisses?: readonly string[]
  /** Body of the first request, or its length. */
  readonly targetBody?: string | number
  /** Body of the first answer, or its length. */
  readonly clientBody?: string | number
  readonly closed?: true
  readonly complete?: true
  /** No complete answer below 500. */
  readonly truncated?: true
  /** The target sees that the client has left. */
  readonly aborted?: true
  readonly connections?: number
  readonly oneOf?: readonly Allowed[]
}

export interface Count {
  readonly least?: number
  readonly most?: number
}

/** Kinds of gateways that cases run through; most run through a `plain` one, with one route to the target. */
export type GatewayKind = 'plain' | 'trusting' | 'impatient' | 'by-host'

/** What a gateway makes of a case. */
export interface Outcome {
  /** Final statuses in order, `!` behind those that are cut; `closed` if the gateway closes; `nothing`. */
  readonly outcome: string
  /** Methods and targets of what reaches the target, `!` behind those that are not complete. @default [] */
  readonly forwarded?: readonly string[]
}

/** A case with what this gateway makes of it. */
export interface RawCase extends Outcome {
  readonly id: string
  readonly title: string
  /** Suite, file and test, RFC or advisory that the case comes from. */
  readonly source?: string
  /** @default plain */
  readonly gateway?: GatewayKind
  readonly send: readonly ClientStep[]
  readonly target?: TargetScript
  readonly allowed?: Allowed
  /** The outcome with other versions of Node.js. */
  readonly otherwise?: Outcome
  /** Why the outcome is not one that the source allows; without it, it must be. */
  readonly reason?: string
}

/** Cases of one kind; `source` and `allowed` hold for those that do not say otherwise. */
export interface RawCaseGroup {
  readonly group: string
  readonly about: string
  readonly source?: string
  readonly allowed?: Allowed
  readonly cases: readonly RawCase[]
}

export function expand(bytes: Bytes): string {
  if (typeof bytes === 'string') return bytes
  if ('repeat' in bytes) return bytes.repeat.repeat(bytes.times)
  return Array.from({ length: bytes.times }, (_, i) => bytes.each.replaceAll('{i}', String(i))).join('')
}

export function isBytes(step: ClientStep | TargetStep): step is Bytes {
  return typeof step === 'string' || 'repeat' in step || 'each' in step
}
