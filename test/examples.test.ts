import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import Fastify from 'fastify'
import { build as buildCustomLayer } from '../examples/custom-layer.ts'
import { build as buildCustomStrategy } from '../examples/custom-strategy.ts'
import { build as buildEmbedded } from '../examples/embed.ts'
import { build as buildForms } from '../examples/events/forms.ts'
import { handler as functionCompute } from '../examples/events/function-compute.ts'
import { build as buildRuntime } from '../examples/events/function-compute-runtime.ts'
import { build as buildFunctions } from '../examples/events/functions.ts'
import { handler as lambda } from '../examples/events/lambda.ts'
import { build as buildParts } from '../examples/parts.ts'
import { loadConfigFile } from '../plugins/config/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { fixture, freePort, startTarget } from './helper.ts'
import { startNamed } from './plugin-helper.ts'

test('embed: the own routes are answered by the application, the others by the target', async (t) => {
  const app = await buildEmbedded(await startNamed(t, 'users'))
  t.after(() => app.close())

  const bodies = []
  for (const url of ['/health', '/api/users', '/api/users/7?full=1']) bodies.push((await app.inject(url)).body)

  assert.deepEqual(bodies, ['{"ok":true}', 'users /v1/users', 'users /v1/users/7?full=1'])
})

test('custom-strategy: the first target gets every request', async (t) => {
  const app = await buildCustomStrategy(await startNamed(t, 'first'), await startNamed(t, 'second'))
  t.after(() => app.close())

  const bodies = []
  for (let i = 0; i < 3; i++) bodies.push((await app.inject('/')).body)

  assert.deepEqual(bodies, ['first /', 'first /', 'first /'])
})

test('custom-strategy: the second target steps in for a first one that cannot be reached', async (t) => {
  const app = await buildCustomStrategy(`http://127.0.0.1:${await freePort()}`, await startNamed(t, 'second'))
  t.after(() => app.close())

  const { body } = await app.inject('/')

  assert.equal(body, 'second /')
})

test('custom-layer: one layer is for every route, the other for those it names', async (t) => {
  const app = await buildCustomLayer(await startNamed(t, 'api'))
  t.after(() => app.close())

  const open = await app.inject('/public/1')
  const refused = await app.inject('/private/1')
  const passed = await app.inject({ url: '/private/1', headers: { 'x-api-key': 'only for this example' } })

  assert.deepEqual([open.statusCode, refused.statusCode, passed.statusCode], [200, 401, 200])
  assert.equal(passed.body, 'api /private/1')
  for (const { headers } of [open, refused, passed]) assert.match(String(headers['server-timing']), /^gateway;dur=/)
})

test('parts: the balancer takes turns, and the layer marks the answers', async (t) => {
  const names = ['one', 'two']
  const urls: string[] = []
  for (const name of names) {
    urls.push((await startTarget(t, (_request, response) => response.end(JSON.stringify([name])))).url)
  }
  const app = await buildParts(urls)
  t.after(() => app.close())

  const answers = []
  for (let i = 0; i < 4; i++) answers.push(await app.inject('/total'))

  assert.deepEqual(
    answers.map((answer) => answer.json().prices[0]),
    ['one', 'two', 'one', 'two']
  )
  assert.equal(answers[0]?.headers['cache-control'], 'no-store')
})

test('gateway.yaml: the file holds what it says, the environment fills in the rest', async (t) => {
  const users = await startNamed(t, 'users')

  const config = loadConfigFile('examples/gateway.yaml', { USERS_URL: users })

  assert.deepEqual(Object.keys(config.upstreams), ['users', 'users-next', 'sessions'])
  assert.equal(config.upstreams.users?.targets[0]?.url, users)
  assert.equal(config.upstreams['users-next']?.targets[0]?.url, 'https://users-next.example.com')
  assert.equal(config.server.bodyLimit, 10 * 1024 * 1024)
})

test('gateway.yaml: a gateway of the file runs', async (t) => {
  const next = await startNamed(t, 'next')
  const app = Fastify()
  t.after(() => app.close())
  await app.register(proxy, { config: loadConfigFile('examples/gateway.yaml', { USERS_NEXT_URL: next }) })

  const { body } = await app.inject({ url: '/users/7', headers: { host: 'api.example.com', 'x-beta': 'yes' } })
  const { headers } = await app.inject({ url: '/a?b', headers: { host: 'old.example.com' } })

  assert.equal(body, 'next /v1/7')
  assert.equal(headers.location, 'https://www.example.com/a?b')
})

test('events: functions serve routes, and take turns with a target', async (t) => {
  const app = await buildFunctions(await startNamed(t, 'target'))
  t.after(() => app.close())

  const greeting = await app.inject({ method: 'POST', url: '/greet', payload: { key: 'value' } })
  const bodies = [(await app.inject('/mixed/1')).body, (await app.inject('/mixed/2')).body]

  assert.equal(greeting.body, '"hello, value!"')
  assert.deepEqual(bodies, ['a function answers /mixed/1', 'target /mixed/2'])
})

test('events: a function in each form', async (t) => {
  const app = await buildForms()
  t.after(() => app.close())
  const post = async (name: string, payload?: string) => {
    const { statusCode, body } = await app.inject({
      method: 'POST',
      url: `/events/${name}`,
      ...(payload !== undefined && { payload, headers: { 'content-type': 'application/json' } })
    })
    return `${statusCode} ${body}`
  }

  assert.equal(await post('ping'), '204 ')
  assert.match(await post('time'), /^200 \{"now":\d+\}$/)
  assert.equal(await post('add', '{"a":1,"b":2}'), '200 3')
  assert.match(await post('add', '{"a":1,"b":"2"}'), /^400 .*b: Invalid input: expected number, received string/)
  assert.equal(await post('wait', '{"milliseconds":1}'), '200 "wait waited"')
  assert.equal(await post('size', 'bytes'), '200 5')
  assert.equal(await post('lookUp', '"one"'), '200 eins')
})

const health = fixture<{ name: string; event: object }[]>('platform-events.json').map(({ name, event }) => ({
  name,
  event: { ...event, ...('rawPath' in event ? { rawPath: '/health' } : { path: '/health' }), ...asGet(event) }
}))

/** The event as one of a GET without a body. */
function asGet(event: object) {
  const context = Object(Reflect.get(event, 'requestContext'))
  const requestContext = { ...context, stage: '$default', http: context.http && { ...context.http, method: 'GET' } }
  return { ...('httpMethod' in event && { httpMethod: 'GET' }), requestContext, body: null, isBase64Encoded: false }
}

for (const { name, event } of health) {
  test(`events: the handlers for platforms answer the event of ${name}`, async () => {
    const handler = name.startsWith('Function Compute') ? functionCompute : lambda

    const { statusCode, body } = Object(await handler(event))

    assert.deepEqual([statusCode, body], [200, '{"ok":true}'])
  })
}

test('events: the handler that streams answers on Lambda', async (t) => {
  const chunks: string[] = []
  const output = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    }
  })
  Reflect.set(globalThis, 'awslambda', {
    streamifyResponse: (run: (event: unknown, output: Writable) => unknown) => (event: unknown) => run(event, output),
    HttpResponseStream: { from: (stream: Writable) => stream }
  })
  t.after(() => Reflect.deleteProperty(globalThis, 'awslambda'))
  const { handler } = await import('../examples/events/lambda-stream.ts')

  await handler(health[0]?.event)

  assert.deepEqual(chunks, ['{"ok":true}'])
})

test('events: the custom runtime invokes the function, and serves requests', async (t) => {
  const app = await buildRuntime(await startNamed(t, 'users'))
  t.after(() => app.close())

  const invoked = await app.inject({ method: 'POST', url: '/invoke', headers: { 'x-fc-control-path': '/invoke' } })
  const headers = { 'x-fc-control-path': '/http-invoke' }
  const served = [await app.inject({ url: '/users/1', headers }), await app.inject({ url: '/health', headers })]

  assert.deepEqual([invoked.statusCode, invoked.headers['x-fc-status'], invoked.body], [200, '200', 'hello'])
  assert.deepEqual(
    served.map(({ body }) => body),
    ['users /users/1', '{"ok":true}']
  )
})
