import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import events, { defineEventHandler } from 'fastify-gateway/events'
import { z } from 'zod'

/** `func()`: no event, no result. */
const ping = defineEventHandler(() => {})

/** `func() (TOut, error)`: a result alone. */
const time = defineEventHandler(() => ({ now: Date.now() }))

/** `func(TIn) (TOut, error)`, async, with an event that has a type. */
const add = defineEventHandler({ input: z.object({ a: z.number(), b: z.number() }) }, async ({ a, b }) => a + b)

/** `func(context.Context, TIn) (TOut, error)`: the context has the name, and tells when to stop. */
const wait = defineEventHandler(
  { input: z.object({ milliseconds: z.number() }), output: z.string(), timeout: '2s' },
  async ({ milliseconds }, { functionName, signal }) => {
    await sleep(milliseconds, undefined, { signal })
    return `${functionName} waited`
  }
)

/** `TIn` is `[]byte`: the event as it came. */
const size = defineEventHandler({ raw: true }, (event) => event.length)

const known = new Map<string, string>()
/** With hooks before the first invocation and after the last one. */
const lookUp = defineEventHandler(
  {
    input: z.string(),
    initializer: async () => void known.set('one', 'eins'),
    preStop: () => known.clear()
  },
  (word) => known.get(word) ?? null
)

/** An app that answers POST /events/:name. */
export async function build(): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(events, { functions: { ping, time, add, wait, size, lookUp } })
  return app
}

if (process.argv[1] === import.meta.filename) {
  const app = await build()
  await app.listen({ port: 8080 })
}
