import type { FastifyBaseLogger } from 'fastify'
import {
  ClientClosedError,
  DuplicateFunctionError,
  FunctionTimeoutError,
  InvalidFunctionError,
  TooManyInvocationsError,
  UnknownFunctionError
} from '../errors.ts'
import { Invocation, type InvocationOrigin, type LifecycleContext } from './context.ts'
import type { EventFunction } from './definition.ts'
import { checkEvent, checkResult } from './schema.ts'

/** Names that can stand in a path and in the URL of a target. */
const NAME = /^[A-Za-z_][\w.-]{0,127}$/

interface Entry {
  readonly name: string
  readonly definition: EventFunction
  /** Handlers that have not returned. */
  running: number
  ready: Promise<void> | undefined
}

export interface FunctionRegistryOptions {
  readonly log: FastifyBaseLogger
  /** Most handlers of a function at work at once; 0 = no limit. */
  readonly maxConcurrency: number
}

/** The event functions of an application, by name. */
export class FunctionRegistry {
  /** For invocations that bring none. */
  readonly log: FastifyBaseLogger

  readonly #entries = new Map<string, Entry>()
  readonly #maxConcurrency: number
  #stopped = false

  constructor({ log, maxConcurrency }: FunctionRegistryOptions) {
    this.log = log
    this.#maxConcurrency = maxConcurrency
  }

  get names(): string[] {
    return [...this.#entries.keys()]
  }

  /** Throws InvalidFunctionError, DuplicateFunctionError. */
  define(name: string, definition: EventFunction): void {
    if (!NAME.test(name)) throw new InvalidFunctionError(`'${name}' cannot be the name of a function`)
    if (typeof definition?.handle !== 'function') {
      throw new InvalidFunctionError(`'${name}' was not made by defineEventHandler`)
    }
    if (this.#entries.has(name)) throw new DuplicateFunctionError(name)
    this.#entries.set(name, { name, definition, running: 0, ready: undefined })
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** Throws UnknownFunctionError. */
  get(name: string): EventFunction {
    return this.#entryOf(name).definition
  }

  /**
   * Hands an event to a function, and has its result. Rejects with what the function throws, and with
   * UnknownFunctionError, InvalidEventError, InvalidResultError, TooManyInvocationsError, FunctionTimeoutError.
   */
  async invoke(name: string, event?: unknown, origin: Partial<InvocationOrigin> = {}): Promise<unknown> {
    const entry = this.#entryOf(name)
    const { input, output } = entry.definition
    const checked = input === undefined ? event : await checkEvent(input, event)
    const result = await this.#run(entry, checked, origin)
    return output === undefined ? result : checkResult(output, result)
  }

  /** Runs the initializers that have not run yet. Rejects with what the first of them throws. */
  async initialize(context: Partial<LifecycleContext> = {}): Promise<void> {
    for (const entry of this.#entries.values()) await this.#initialize(entry, context)
  }

  async preFreeze(context: Partial<LifecycleContext> = {}): Promise<void> {
    for (const { name, definition } of this.#entries.values()) {
      await definition.preFreeze?.(this.#lifecycleContext(name, context))
    }
  }

  /** Runs every preStop, once; those of others are run, too, when one throws. Rejects with what the first one throws. */
  async preStop(context: Partial<LifecycleContext> = {}): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    const faults: unknown[] = []
    for (const { name, definition } of this.#entries.values()) {
      try {
        await definition.preStop?.(this.#lifecycleContext(name, context))
      } catch (err) {
        this.log.error({ err, function: name }, 'preStop failed')
        faults.push(err)
      }
    }
    if (faults.length > 0) throw faults[0]
  }

  #entryOf(name: string): Entry {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new UnknownFunctionError(name)
    return entry
  }

  async #run(entry: Entry, event: unknown, origin: Partial<InvocationOrigin>): Promise<unknown> {
    const { name, definition } = entry
    if (this.#maxConcurrency > 0 && entry.running >= this.#maxConcurrency) throw new TooManyInvocationsError(name)
    const invocation = new Invocation(name, origin, this.log, definition.timeout)
    entry.running++
    // One whose time is up keeps its place for as long as its handler is at work.
    const work = this.#work(entry, event, invocation).finally(() => {
      entry.running--
    })
    return within(work, invocation, origin.signal)
  }

  async #work(entry: Entry, event: unknown, invocation: Invocation): Promise<unknown> {
    if (entry.definition.initializer !== undefined) await this.#initialize(entry, invocation)
    return entry.definition.handle(event, invocation)
  }

  /** One that failed is tried again by whoever comes next. */
  #initialize(entry: Entry, context: Partial<LifecycleContext>): Promise<void> {
    const { name, definition } = entry
    entry.ready ??= Promise.resolve()
      .then(() => definition.initializer?.(this.#lifecycleContext(name, context)))
      .catch((error: unknown) => {
        entry.ready = undefined
        throw error
      })
    return entry.ready
  }

  #lifecycleContext(functionName: string, { requestId, log, functionCompute }: Partial<LifecycleContext>) {
    return { functionName, requestId, log: log ?? this.log, functionCompute }
  }
}

/** Waits for a handler until its time is up, or nobody waits any more. */
function within(work: Promise<unknown>, invocation: Invocation, signal: AbortSignal | undefined): Promise<unknown> {
  const hasDeadline = invocation.deadline !== Number.POSITIVE_INFINITY
  if (!hasDeadline && signal === undefined) return work
  return new Promise((resolve, reject) => {
    const limit = invocation.remainingTime()
    const timer = hasDeadline
      ? setTimeout(() => giveUp(new FunctionTimeoutError(invocation.functionName, limit)), limit)
      : undefined
    const leave = () => giveUp(new ClientClosedError())
    signal?.addEventListener('abort', leave, { once: true })
    work.then(
      (result) => {
        settle()
        resolve(result)
      },
      (error: unknown) => {
        settle()
        reject(error)
      }
    )
    if (signal?.aborted === true) leave()

    function giveUp(reason: Error) {
      settle()
      invocation.abort(reason)
      reject(reason)
    }

    function settle() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
    }
  })
}
