import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chain, compose, type LayerFunction, type LayerPair } from '../plugins/middleware/index.ts'

interface Context {
  trace: string[]
  payload?: unknown
  answered?: boolean
}

const tracer =
  (name: string): LayerFunction<Context> =>
  async ({ trace }, next) => {
    trace.push(`${name} in`)
    await next()
    trace.push(`${name} out`)
  }

const pair = (name: string): LayerPair<Context> => ({
  name,
  onRequest: ({ trace }) => void trace.push(`${name} in`),
  onSend: ({ trace }, payload) => {
    trace.push(`${name} out`)
    return `${payload} ${name}`
  },
  onResponse: ({ trace }) => void trace.push(`${name} end`)
})

test('an array and a chain run the same onion around the handler', async () => {
  const composed: Context = { trace: [] }
  const chained: Context = { trace: [] }
  const handler = ({ trace }: Context) => void trace.push('handler')

  await compose<Context>([tracer('1'), tracer('2')])(composed, async () => handler(composed))
  await chain<Context>().use(tracer('1')).use(tracer('2')).then(handler)(chained)

  assert.deepEqual(composed.trace, ['1 in', '2 in', 'handler', '2 out', '1 out'])
  assert.deepEqual(chained.trace, composed.trace)
})

test('pairs and functions mix, and a pair may change the payload of the context', async () => {
  const context: Context = { trace: [], payload: 'body' }

  await compose<Context>([pair('1'), tracer('2'), pair('3')])(context)

  assert.deepEqual(context.trace, ['1 in', '2 in', '3 in', '3 out', '3 end', '2 out', '1 out', '1 end'])
  assert.equal(context.payload, 'body 3 1')
})

test('a layer that does not call next() ends the way in', async () => {
  const context: Context = { trace: [] }

  await compose<Context>([tracer('1'), async (_context, _next) => {}, tracer('2')])(context)

  assert.deepEqual(context.trace, ['1 in', '1 out'])
})

test('a pair that answers ends the way in', async () => {
  const context: Context = { trace: [] }
  const refuser: LayerPair<Context> = {
    name: 'refuser',
    onRequest(context) {
      context.answered = true
    }
  }

  await compose<Context>([tracer('1'), refuser, tracer('2')])(context)

  assert.deepEqual(context.trace, ['1 in', '1 out'])
})

test('an error passes through the layers outside of it', async () => {
  const context: Context = { trace: [] }
  const onion = compose<Context>([
    async ({ trace }, next) => {
      await next().catch((error: Error) => trace.push(error.message))
    },
    pair('2'),
    (_context, _next) => {
      throw new Error('boom')
    }
  ])

  await onion(context)

  assert.deepEqual(context.trace, ['2 in', '2 end', 'boom'])
})

test('next() called twice rejects', async () => {
  const onion = compose<Context>([
    async (_context, next) => {
      await next()
      await next()
    }
  ])

  await assert.rejects(onion({ trace: [] }), { code: 'FST_GATEWAY_NEXT_CALLED_TWICE' })
})

test('an onion can be run again and again, and be a layer of another', async () => {
  const inner = compose<Context>([tracer('2'), tracer('3')])
  const context: Context = { trace: [] }
  const onion = compose<Context>([tracer('1'), (context, next) => inner(context, next), tracer('4')])

  await onion(context)
  await onion(context)

  const once = ['1 in', '2 in', '3 in', '4 in', '4 out', '3 out', '2 out', '1 out']
  assert.deepEqual(context.trace, [...once, ...once])
})

test('any object can be the context', async () => {
  const context = new Map<string, number>()

  await compose<Map<string, number>>([
    async (map, next) => {
      map.set('layer', 1)
      await next()
    }
  ])(context)

  assert.deepEqual([...context], [['layer', 1]])
})

test('a chain is not changed by what is chained to it', async () => {
  const base = chain<Context>().use(tracer('1'))
  const context: Context = { trace: [] }

  base.use(tracer('2'))
  await base.then(() => {})(context)

  assert.deepEqual(context.trace, ['1 in', '1 out'])
})

test('a chain that is awaited by mistake rejects instead of hanging', async () => {
  const awaited = (async () => {
    await chain().use(tracer('1') as never)
  })()

  await assert.rejects(awaited, { code: 'FST_GATEWAY_INVALID_MIDDLEWARE' })
})

test('what is not a layer is refused when the onion is made', () => {
  // @ts-expect-error A string is not a layer.
  assert.throws(() => compose(['request-id']), { code: 'FST_GATEWAY_INVALID_MIDDLEWARE' })
})
