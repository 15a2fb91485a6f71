import { Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import events, { type EventFunction, type EventsOptions } from '../plugins/events/index.ts'

/** An application with event functions, closed when the test ends. */
export async function startEvents(
  t: TestContext,
  functions: Record<string, EventFunction>,
  options: Omit<EventsOptions, 'functions'> = {}
): Promise<{ app: FastifyInstance; logged: () => string }> {
  let log = ''
  const stream = new Writable({
    write(chunk, _encoding, done) {
      log += String(chunk)
      done()
    }
  })
  const app = Fastify({ logger: { level: 'info', stream } })
  t.after(() => app.close())
  await app.register(events, { functions, ...options })
  await app.ready()
  return { app, logged: () => log }
}

/** A promise and what settles it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
