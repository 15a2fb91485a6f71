import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'

/** What an event function is told of its invocation. */
export interface EventContext {
  readonly requestId: string
  readonly functionName: string
  /** When the invocation must be done, in milliseconds since the epoch; Infinity without a limit. */
  readonly deadline: number
  /** Milliseconds until then, 0 once it is past. */
  remainingTime(): number
  /** Aborted when the time is up, and when the client has left. */
  readonly signal: AbortSignal
  readonly log: FastifyBaseLogger
  /** What Function Compute says of the invocation; undefined elsewhere. */
  readonly functionCompute: FunctionComputeContext | undefined
}

/** What the hooks of a life cycle are told. */
export interface LifecycleContext {
  readonly functionName: string
  readonly requestId: string | undefined
  readonly log: FastifyBaseLogger
  readonly functionCompute: FunctionComputeContext | undefined
}

/** The `x-fc-*` headers of Function Compute, read. */
export interface FunctionComputeContext {
  readonly credentials: {
    readonly accessKeyId: string
    readonly accessKeySecret: string
    readonly securityToken: string
  }
  readonly function: {
    readonly name: string
    readonly handler: string
    /** Mebibytes. */
    readonly memory: number
    /** Seconds. */
    readonly timeout: number
  }
  readonly service: {
    readonly name: string
    readonly logProject: string
    readonly logStore: string
    readonly qualifier: string
    readonly versionId: string
  }
  readonly region: string
  readonly accountId: string
  readonly retryCount: number
  readonly tracing: {
    readonly openTracingSpanContext: string
    readonly openTracingSpanBaggages: string
    readonly jaegerEndpoint: string
  }
}

/** What is known of an invocation from where it comes. */
export interface InvocationOrigin {
  readonly requestId: string
  readonly log: FastifyBaseLogger
  /** Aborted when nobody waits for the result any more. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds since the epoch; an earlier one than the function's own holds. */
  readonly deadline?: number | undefined
  readonly functionCompute?: FunctionComputeContext | undefined
}

/** The context of one invocation. What costs something is made when it is asked for. */
export class Invocation implements EventContext {
  readonly functionName: string
  readonly deadline: number
  readonly functionCompute: FunctionComputeContext | undefined

  readonly log: FastifyBaseLogger
  #requestId: string | undefined
  #controller: AbortController | undefined = undefined
  #reason: Error | undefined = undefined

  constructor(functionName: string, origin: Partial<InvocationOrigin>, log: FastifyBaseLogger, timeout: number) {
    this.functionName = functionName
    this.log = origin.log ?? log
    this.#requestId = origin.requestId
    const own = timeout === 0 ? Number.POSITIVE_INFINITY : Date.now() + timeout
    this.deadline = Math.min(own, origin.deadline ?? own)
    this.functionCompute = origin.functionCompute
  }

  get requestId(): string {
    this.#requestId ??= randomUUID()
    return this.#requestId
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  remainingTime(): number {
    return Math.max(0, this.deadline - Date.now())
  }

  abort(reason: Error): void {
    this.#reason ??= reason
    this.#controller?.abort(reason)
  }
}
