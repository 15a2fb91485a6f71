import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { DuplicateFunctionError, InvalidFunctionError } from '../errors.ts'
import { parseSize } from '../units.ts'
import type { AnswerOptions } from './answer.ts'
import { BackgroundWork } from './background-work.ts'
import type { EventFunction } from './definition.ts'
import { addControlPath, serveFunctionCompute } from './function-compute.ts'
import { FunctionRegistry } from './registry.ts'
import { serveFunctions } from './routes.ts'

export { type AnswerOptions, answerEvent, answerFailure, type EventAnswer, type EventRequest } from './answer.ts'
export { AppServer } from './app-server.ts'
export type { EventContext, FunctionComputeContext, LifecycleContext } from './context.ts'
export {
  defineEventHandler,
  type EventFunction,
  type EventFunctionOptions,
  type EventHandler,
  type EventMode,
  type LifecycleHook
} from './definition.ts'
export { FUNCTION_COMPUTE_ADDRESS } from './function-compute.ts'
export { type HttpEvent, toHttpEvent } from './http-event.ts'
export { createEventHandler, type EventHandlerOptions, type PlatformHandler } from './platform/event-handler.ts'
export type { FunctionRegistry } from './registry.ts'
export type { StandardSchema } from './schema.ts'

declare module 'fastify' {
  interface FastifyInstance {
    events: Events
  }
}

/** Event functions, and whole applications that are targets, by name. */
export interface Events extends Pick<FunctionRegistry, 'define' | 'invoke' | 'names'> {
  /** Applications that stand behind targets `app:NAME`. */
  readonly apps: ReadonlyMap<string, FastifyInstance>
  readonly functions: FunctionRegistry
  /** Bytes of the largest event; 0 = no limit. */
  readonly bodyLimit: number
  readonly answerOptions: AnswerOptions
  /** Makes an application the target `app:NAME`. It becomes ready with this one, and is not closed by it. */
  mount(name: string, app: FastifyInstance): void
}

export interface EventsOptions {
  /** Event functions by name; more can be added with `app.events.define`. @default {} */
  functions?: Readonly<Record<string, EventFunction>> | undefined
  /** Other Fastify applications, for targets `app:NAME`. @default {} */
  apps?: Readonly<Record<string, FastifyInstance>> | undefined
  /** Path below which each function answers to POST; `false` = no routes. @default '/events' */
  path?: string | false | undefined
  /** Largest event, as `1mb` or in bytes. @default '32mb' */
  bodyLimit?: string | number | undefined
  /** Tell clients what functions say of their own failures, with stacks. @default false */
  exposeErrors?: boolean | undefined
  /** Serve the protocol of Function Compute's custom runtimes, too. @default none */
  runtime?: 'function-compute' | undefined
  /** The function that the runtime's /invoke calls. @default the first one */
  handler?: string | undefined
  /** Most handlers of one function at work at once; 0 = no limit. @default 64 */
  maxConcurrency?: number | undefined
}

const APP_NAME = /^[A-Za-z_][\w.-]{0,127}$/

const events: FastifyPluginAsync<EventsOptions> = async (fastify, options) => {
  const { functions = {}, apps = {}, path = '/events', exposeErrors = false, maxConcurrency = 64 } = options
  const bodyLimit = parseSize(options.bodyLimit ?? '32mb')
  if (bodyLimit === undefined) throw new InvalidFunctionError('bodyLimit must be a size such as 1mb')
  const registry = new FunctionRegistry({ log: fastify.log, maxConcurrency })
  const background = new BackgroundWork()
  const mounted = new Map<string, FastifyInstance>()

  fastify.decorate('events', {
    get names() {
      return registry.names
    },
    define: (name, definition) => registry.define(name, definition),
    invoke: (name, event, origin) => registry.invoke(name, event, origin),
    apps: mounted,
    functions: registry,
    bodyLimit,
    answerOptions: { exposeErrors },
    mount
  } satisfies Events)
  for (const [name, definition] of Object.entries(functions)) registry.define(name, definition)
  for (const [name, app] of Object.entries(apps)) mount(name, app)

  if (path !== false) {
    await fastify.register((scope) => serveFunctions(scope, { path, bodyLimit, exposeErrors, registry, background }))
  }
  if (options.runtime !== undefined) {
    const { handler } = options
    addControlPath(fastify)
    await fastify.register((scope) => serveFunctionCompute(scope, { registry, handler, bodyLimit }))
  }
  fastify.addHook('onReady', async () => {
    // There, the platform says when.
    if (options.runtime === undefined) await registry.initialize()
    for (const app of mounted.values()) await app.ready()
  })
  fastify.addHook('onClose', async () => {
    await background.drained()
    // It is in the log, and closing goes on.
    await registry.preStop().catch(() => {})
  })

  function mount(name: string, app: FastifyInstance): void {
    if (!APP_NAME.test(name)) throw new InvalidFunctionError(`'${name}' cannot be the name of an app`)
    if (mounted.has(name)) throw new DuplicateFunctionError(name)
    mounted.set(name, app)
  }
}

export default fp(events, { name: 'gateway-events', fastify: '5.x' })
