import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import middleware, { type RequestIdOptions, requestId } from '../plugins/middleware/index.ts'

/** An app that answers with what the layer left on the exchange. */
async function start(t: TestContext, options?: RequestIdOptions) {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware, { layers: [requestId(options)] })
  app.get('/', async ({ exchange }) => ({ id: exchange?.requestId, toTarget: exchange?.requestHeaders ?? [] }))
  return app
}

const sane = ['a', '7f.A_b~c+d/e=f:g-h', 'x'.repeat(128)]

for (const id of sane) {
  test(`an id that the client sends is kept: ${id.slice(0, 20)} of length ${id.length}`, async (t) => {
    const app = await start(t)

    const response = await app.inject({ url: '/', headers: { 'x-request-id': id } })

    assert.equal(response.headers['x-request-id'], id)
    assert.deepEqual(response.json(), { id, toTarget: [] })
  })
}

const insane = ['', 'x'.repeat(129), 'two words', 'a,b', 'semi;colon', '<script>', 'gr\u00fcn', 'quote"']

for (const given of insane) {
  test(`an id that is none is replaced towards target and client: '${given.slice(0, 20)}'`, async (t) => {
    const app = await start(t, { generate: () => 'made-here' })

    const response = await app.inject({ url: '/', headers: { 'x-request-id': given } })

    assert.equal(response.headers['x-request-id'], 'made-here')
    assert.deepEqual(response.json(), { id: 'made-here', toTarget: [['x-request-id', 'made-here']] })
  })
}

test('an id sent twice is none', async (t) => {
  const app = await start(t, { generate: () => 'made-here' })

  const response = await app.inject({ url: '/', headers: { 'x-request-id': ['one', 'two'] } })

  assert.equal(response.json().id, 'made-here')
})

test('a request without an id gets a random UUID, a new one each', async (t) => {
  const app = await start(t)

  const ids = [(await app.inject('/')).json().id, (await app.inject('/')).json().id]

  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.notEqual(ids[0], ids[1])
})

test('the header has the name of the options, in any case', async (t) => {
  const app = await start(t, { header: 'X-Trace', generate: ({ request }) => `for${request.url}` })

  const given = await app.inject({ url: '/', headers: { 'x-trace': 'mine' } })
  const made = await app.inject('/')

  assert.equal(given.headers['x-trace'], 'mine')
  assert.equal(made.headers['x-trace'], 'for/')
  assert.equal(made.headers['x-request-id'], undefined)
})

test('the early answer of a layer inside carries the id, and so does an error', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware, { layers: [requestId()] })
  app.middleware.use({ name: 'refuser', onRequest: ({ reply }) => reply.code(403).send() }, { routes: ['/refused'] })
  app.get('/refused', async () => 'never')
  app.get('/failing', async () => {
    throw new Error('boom')
  })

  const headers = { 'x-request-id': 'mine' }
  const answers = [await app.inject({ url: '/refused', headers }), await app.inject({ url: '/failing', headers })]

  assert.deepEqual(
    answers.map((answer) => [answer.statusCode, answer.headers['x-request-id']]),
    [
      [403, 'mine'],
      [500, 'mine']
    ]
  )
})
