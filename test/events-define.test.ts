import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { InvalidFunctionError } from '../plugins/errors.ts'
import { defineEventHandler, type EventContext, type EventFunction } from '../plugins/events/index.ts'

const define: (...args: unknown[]) => unknown = (...args) => Reflect.apply(defineEventHandler, undefined, args)
const noop = () => {}

const valid = [
  { name: 'of no parameters', handler: noop },
  { name: 'of the event alone', handler: (event: unknown) => event },
  { name: 'of event and context', handler: (_event: unknown, context: EventContext) => context.requestId },
  { name: 'that is async', handler: async () => 1 },
  { name: 'that takes the rest', handler: (...args: unknown[]) => args }
]
for (const { name, handler } of valid) {
  test(`a handler ${name} is valid, with options and without`, () => {
    assert.doesNotThrow(() => define(handler))
    assert.doesNotThrow(() => define({ timeout: '5s' }, handler))
  })
}

const invalid: { name: string; args: unknown[]; reason: RegExp }[] = [
  { name: 'no handler', args: [undefined], reason: /: handler is nil$/ },
  { name: 'null behind options', args: [{}, null], reason: /: handler is nil$/ },
  { name: 'a string', args: ['index.handler'], reason: /: handler kind string is not func$/ },
  {
    name: 'a handler of three parameters',
    args: [(_event: unknown, _context: unknown, callback: unknown) => callback],
    reason: /: handlers may not take more than two arguments, but handler takes 3$/
  },
  { name: 'an input that is no schema', args: [{ input: { type: 'object' } }, noop], reason: /input must be a schema/ },
  { name: 'a timeout that is none', args: [{ timeout: 'soon' }, noop], reason: /timeout must be a duration/ },
  { name: 'raw that is no boolean', args: [{ raw: 1 }, noop], reason: /raw must be true or false/ },
  { name: 'another mode', args: [{ mode: 'tcp' }, noop], reason: /mode must be payload or http/ },
  { name: 'a preStop that is none', args: [{ preStop: 'x' }, noop], reason: /preStop must be a function/ },
  {
    name: 'an initializer of two parameters',
    args: [{ initializer: (a: unknown, b: unknown) => [a, b] }, noop],
    reason: /initializer takes the context alone, but takes 2 arguments/
  },
  { name: 'a misspelt option', args: [{ timout: 5 }, noop], reason: /unknown option 'timout', expected one of: input/ },
  { name: 'raw with a schema', args: [{ raw: true, input: z.string() }, noop], reason: /raw events are not read/ },
  { name: 'mode http with a schema', args: [{ mode: 'http', input: z.string() }, noop], reason: /in mode http/ }
]
for (const { name, args, reason } of invalid) {
  test(`${name} is refused when it is defined, with the reason`, () => {
    assert.throws(
      () => define(...args),
      (error) => error instanceof InvalidFunctionError && reason.test(error.message)
    )
  })
}

test('event and result have the types of the schemas', () => {
  const input = z.object({ key: z.string() })
  const output = z.object({ length: z.number() })

  const typed = defineEventHandler({ input, output }, (event) => ({ length: event.key.length }))
  const bytes = defineEventHandler({ raw: true }, (event) => event.readUInt8(0))
  const plain = defineEventHandler((event) => {
    // @ts-expect-error nothing is known of an event without a schema
    void event?.key
  })
  // @ts-expect-error the schema says number
  defineEventHandler({ output }, () => ({ length: 'three' }))
  // @ts-expect-error the schema has no such field
  defineEventHandler({ input }, (event) => event.kee)

  const all: EventFunction[] = [typed, bytes, plain]
  assert.deepEqual(
    all.map(({ takesEvent, raw, timeout }) => ({ takesEvent, raw, timeout })),
    [
      { takesEvent: true, raw: false, timeout: 60_000 },
      { takesEvent: true, raw: true, timeout: 60_000 },
      { takesEvent: true, raw: false, timeout: 60_000 }
    ]
  )
})
