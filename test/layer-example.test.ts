import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import Fastify from 'fastify'
import { InvalidMiddlewareError } from '../plugins/errors.ts'
import middleware, { type LayerFunction } from '../plugins/middleware/index.ts'

// example
/** Counts the requests under way, and refuses those beyond `limit` with a 503. */
function concurrencyLimit({ limit }: { limit: number }): LayerFunction {
  if (!(limit > 0)) throw new InvalidMiddlewareError(`limit must be greater than 0, found ${limit}`)
  let underWay = 0

  return async function concurrencyLimit(exchange, next) {
    if (underWay >= limit) {
      exchange.reply.code(503).header('retry-after', '1').send({ error: 'Too many requests under way' })
      return
    }
    underWay++
    try {
      await next()
    } finally {
      underWay--
    }
  }
}
// end of example

test('the example in the docs is the one tested here', () => {
  const source = readFileSync('test/layer-example.test.ts', 'utf8')
  const example = source.slice(source.indexOf('// example\n') + 11, source.indexOf('// end of example'))

  const docs = readFileSync('docs/middleware.md', 'utf8')

  assert.ok(docs.includes(example))
})

test('the example refuses what is beyond its limit, and lets go of what has ended', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  let arrived = () => {}
  let release = () => {}
  const inside = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  await app.register(middleware, { layers: [concurrencyLimit({ limit: 1 })] })
  app.get('/', async () => {
    arrived()
    await gate
    return 'hello'
  })

  const first = app.inject('/').then((response) => response)
  await inside
  const second = await app.inject('/')
  release()
  const statuses = [(await first).statusCode, second.statusCode, (await app.inject('/')).statusCode]

  assert.deepEqual(statuses, [200, 503, 200])
  assert.equal(second.headers['retry-after'], '1')
})

test('the example refuses a limit that lets nobody in', () => {
  assert.throws(() => concurrencyLimit({ limit: 0 }), { code: 'FST_GATEWAY_INVALID_MIDDLEWARE' })
})
