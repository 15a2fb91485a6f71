import { InvalidFunctionError } from '../errors.ts'
import { parseDuration } from '../units.ts'
import type { EventContext, LifecycleContext } from './context.ts'
import type { HttpEvent } from './http-event.ts'
import type { InputOf, OutputOf, StandardSchema } from './schema.ts'

/** `payload`: the body is the event. `http`: the event is the request itself, and the result the response. */
export type EventMode = 'payload' | 'http'

/** What may be said of an event function beside its handler. */
export interface EventFunctionOptions<
  Input extends StandardSchema | undefined = undefined,
  Output extends StandardSchema | undefined = undefined,
  Raw extends boolean = false,
  Mode extends EventMode = 'payload'
> {
  /** What the event must be; the handler gets what the schema makes of it. @default anything */
  input?: Input
  /** What the result must be. @default anything that JSON can say */
  output?: Output
  /** How long an invocation may take, as `10s` or in milliseconds; 0 = no limit. @default '60s' */
  timeout?: string | number
  /** Give the handler the bytes of the event, unread. @default false */
  raw?: Raw
  /** @default 'payload' */
  mode?: Mode
  /** Runs once before the first invocation; when it throws, the start fails. */
  initializer?: LifecycleHook
  /** Runs before Function Compute freezes the instance. */
  preFreeze?: LifecycleHook
  /** Runs once at the end, after the last invocation. */
  preStop?: LifecycleHook
}

export type LifecycleHook = (context: LifecycleContext) => void | Promise<void>
export type EventHandler<Event = unknown, Result = unknown> = (
  event: Event,
  context: EventContext
) => Result | Promise<Result>

type EventOf<Input, Raw, Mode> = Mode extends 'http'
  ? HttpEvent
  : Raw extends true
    ? Buffer
    : Input extends StandardSchema
      ? OutputOf<Input>
      : unknown
type ResultOf<Output> = Output extends StandardSchema ? InputOf<Output> : unknown

/** An event function that was found to be valid. */
export interface EventFunction<Event = unknown, Result = unknown> {
  // A method, and not a property: functions of all kinds of events are kept together.
  handle(event: Event, context: EventContext): Result | Promise<Result>
  /** Whether the handler takes the event at all. */
  readonly takesEvent: boolean
  readonly input: StandardSchema | undefined
  readonly output: StandardSchema | undefined
  /** Milliseconds. */
  readonly timeout: number
  readonly raw: boolean
  readonly mode: EventMode
  readonly initializer: LifecycleHook | undefined
  readonly preFreeze: LifecycleHook | undefined
  readonly preStop: LifecycleHook | undefined
}

const DEFAULT_TIMEOUT = '60s'
const OPTIONS = ['input', 'output', 'timeout', 'raw', 'mode', 'initializer', 'preFreeze', 'preStop']

/**
 * Defines an event function. Handlers are `()`, `(event)` and `(event, context)`, plain or async. Throws
 * InvalidFunctionError for anything else, at once and not when the first event comes.
 */
export function defineEventHandler<Result>(handler: EventHandler<unknown, Result>): EventFunction<unknown, Result>
export function defineEventHandler<
  Input extends StandardSchema | undefined = undefined,
  Output extends StandardSchema | undefined = undefined,
  Raw extends boolean = false,
  Mode extends EventMode = 'payload'
>(
  options: EventFunctionOptions<Input, Output, Raw, Mode>,
  handler: EventHandler<EventOf<Input, Raw, Mode>, ResultOf<Output>>
): EventFunction<EventOf<Input, Raw, Mode>, ResultOf<Output>>
export function defineEventHandler(
  ...given: [handler: EventHandler] | [options: AnyOptions, handler: EventHandler]
): EventFunction {
  const [options, handler] = given.length === 2 ? given : [{}, given[0]]
  checkHandler(handler)
  checkOptions(options)
  return Object.freeze({
    handle: handler,
    takesEvent: handler.length > 0,
    input: options.input,
    output: options.output,
    timeout: readTimeout(options.timeout),
    raw: options.raw ?? false,
    mode: options.mode ?? 'payload',
    initializer: options.initializer,
    preFreeze: options.preFreeze,
    preStop: options.preStop
  })
}

type AnyOptions = EventFunctionOptions<StandardSchema | undefined, StandardSchema | undefined, boolean, EventMode>

/** The texts are those of Function Compute's SDK for Go, whose rules these are. */
function checkHandler(handler: unknown): void {
  if (handler === undefined || handler === null) throw new InvalidFunctionError('handler is nil')
  if (typeof handler !== 'function') throw new InvalidFunctionError(`handler kind ${typeof handler} is not func`)
  if (handler.length > 2) {
    throw new InvalidFunctionError(`handlers may not take more than two arguments, but handler takes ${handler.length}`)
  }
}

function checkOptions(options: AnyOptions): void {
  for (const [name, value] of Object.entries(options)) {
    const reason = value === undefined ? undefined : faultOf(name, value)
    if (reason !== undefined) throw new InvalidFunctionError(reason)
  }
  if (options.raw === true && options.input !== undefined) {
    throw new InvalidFunctionError('raw events are not read, so that no schema can hold for them')
  }
  if (
    options.mode === 'http' &&
    (options.raw === true || options.input !== undefined || options.output !== undefined)
  ) {
    throw new InvalidFunctionError(
      'in mode http, event and result are those of HTTP: raw, input and output do not apply'
    )
  }
}

function faultOf(name: string, value: unknown): string | undefined {
  switch (name) {
    case 'input':
    case 'output':
      return isSchema(value) ? undefined : `${name} must be a schema (https://standardschema.dev)`
    case 'timeout':
      return parseDuration(value) === undefined ? 'timeout must be a duration such as 10s' : undefined
    case 'raw':
      return typeof value === 'boolean' ? undefined : 'raw must be true or false'
    case 'mode':
      return value === 'payload' || value === 'http' ? undefined : 'mode must be payload or http'
    case 'initializer':
    case 'preFreeze':
    case 'preStop':
      return faultOfHook(name, value)
    default:
      return `unknown option '${name}', expected one of: ${OPTIONS.join(', ')}`
  }
}

function faultOfHook(name: string, hook: unknown): string | undefined {
  if (typeof hook !== 'function') return `${name} must be a function`
  return hook.length > 1 ? `${name} takes the context alone, but takes ${hook.length} arguments` : undefined
}

function isSchema(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard: unknown = Reflect.get(value, '~standard')
  return typeof standard === 'object' && standard !== null && typeof Reflect.get(standard, 'validate') === 'function'
}

function readTimeout(timeout: string | number | undefined): number {
  return parseDuration(timeout ?? DEFAULT_TIMEOUT) ?? 0
}
