import type { FastifyInstance } from 'fastify'
import type { Target } from '../balancer/index.ts'
import { InvalidTargetError } from '../errors.ts'
import events, { type EventFunction, type Events } from '../events/index.ts'

export interface InProcessOptions {
  readonly functions: Readonly<Record<string, EventFunction>>
  readonly apps: Readonly<Record<string, FastifyInstance>>
}

/** Makes functions and apps known as targets; brings the events plugin, without its routes, where the scope has none. */
export async function addInProcess(fastify: FastifyInstance, { functions, apps }: InProcessOptions): Promise<void> {
  const names = [...Object.keys(functions), ...Object.keys(apps)]
  if (names.length === 0) return
  if (!fastify.hasDecorator('events')) {
    await fastify.register(events, { functions, apps, path: false })
    return
  }
  for (const [name, definition] of Object.entries(functions)) fastify.events.define(name, definition)
  for (const [name, app] of Object.entries(apps)) fastify.events.mount(name, app)
}

/** The functions and apps of the scope; looked up late, since the plugin may come after the gateway. */
export function eventsOf(fastify: FastifyInstance): () => Events | undefined {
  let found: Events | undefined
  return () => {
    if (found === undefined && fastify.hasDecorator('events')) found = fastify.events
    return found
  }
}

/** Throws InvalidTargetError for a target within the process that is not there. */
export function checkInProcess({ url, protocol, hostname }: Target, known: Events | undefined): void {
  if (protocol === 'function:' && known?.functions.has(hostname) !== true) {
    throw new InvalidTargetError(
      url,
      `no event function has that name, known are: ${known?.names.join(', ') || 'none'}`
    )
  }
  if (protocol === 'app:' && known?.apps.has(hostname) !== true) {
    const names = [...(known?.apps.keys() ?? [])].join(', ')
    throw new InvalidTargetError(url, `no app has that name, known are: ${names || 'none'}`)
  }
}
