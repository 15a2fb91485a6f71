import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { z } from 'zod'
import {
  DuplicateFunctionError,
  FunctionTimeoutError,
  InvalidEventError,
  InvalidFunctionError,
  InvalidResultError,
  UnknownFunctionError
} from '../plugins/errors.ts'
import events, { defineEventHandler, type EventContext, type EventFunction } from '../plugins/events/index.ts'
import { deferred, startEvents } from './events-helper.ts'
import { portOf } from './helper.ts'

const greet = defineEventHandler(
  { input: z.object({ key: z.string(), times: z.number().optional() }), output: z.string() },
  ({ key }) => `hello, ${key}!`
)
const cycle: unknown[] = []
cycle.push(cycle)

interface Row {
  name: string
  handler: EventFunction
  payload?: string | Buffer
  type?: string
  status: number
  body: string
  contentType?: string
  errorType?: string
}

const JSON_TYPE = 'application/json; charset=utf-8'
const INTERNAL = '{"errorMessage":"The function failed","errorType":"InternalError"}'

const table: Row[] = [
  {
    name: 'an object',
    handler: defineEventHandler(() => ({ a: 1 })),
    status: 200,
    body: '{"a":1}',
    contentType: JSON_TYPE
  },
  { name: 'a list', handler: defineEventHandler(() => [1, 2]), status: 200, body: '[1,2]', contentType: JSON_TYPE },
  { name: 'a number', handler: defineEventHandler(() => 7), status: 200, body: '7', contentType: JSON_TYPE },
  { name: 'null', handler: defineEventHandler(() => null), status: 200, body: 'null', contentType: JSON_TYPE },
  { name: 'nothing', handler: defineEventHandler(() => {}), status: 204, body: '' },
  {
    name: 'text without a schema',
    handler: defineEventHandler(() => 'hi'),
    status: 200,
    body: 'hi',
    contentType: 'text/plain; charset=utf-8'
  },
  {
    name: 'text with a schema',
    handler: greet,
    payload: '{"key":"value"}',
    status: 200,
    body: '"hello, value!"',
    contentType: JSON_TYPE
  },
  {
    name: 'bytes',
    handler: defineEventHandler({ raw: true }, (event) => event),
    payload: Buffer.from('89504e470d0a1a0a00ff', 'hex'),
    type: 'image/png',
    status: 200,
    body: Buffer.from('89504e470d0a1a0a00ff', 'hex').toString('latin1'),
    contentType: 'application/octet-stream'
  },
  {
    name: 'what is no JSON',
    handler: greet,
    payload: '{"key":',
    status: 400,
    body: '"errorType":"InvalidJson"',
    errorType: 'HandledInvocationError'
  },
  {
    name: 'what is no UTF-8',
    handler: greet,
    payload: Buffer.from('7b226b6579223a22ff227d', 'hex'),
    status: 400,
    body: '"errorType":"InvalidJson"'
  },
  {
    name: 'a number for a string',
    handler: greet,
    payload: '{"key":5}',
    status: 400,
    body: '{"errorMessage":"The event does not fit: key: Invalid input: expected string, received number","errorType":"ValidationError"}',
    errorType: 'HandledInvocationError'
  },
  {
    name: 'a field that the schema does not know',
    handler: greet,
    payload: '{"key":"x","time":2}',
    status: 400,
    body: '{"errorMessage":"The event does not fit: time: is not part of the schema","errorType":"ValidationError"}'
  },
  {
    name: 'no event where the schema wants one',
    handler: greet,
    status: 400,
    body: 'The event does not fit: Invalid input: expected object, received undefined'
  },
  {
    name: 'XML',
    handler: greet,
    payload: '<a/>',
    type: 'application/xml',
    status: 415,
    body: '"errorType":"UnsupportedContentType"'
  },
  {
    name: 'JSON of a vendor',
    handler: greet,
    payload: '{"key":"v"}',
    type: 'application/cloudevents+json; charset=utf-8',
    status: 200,
    body: '"hello, v!"'
  },
  {
    name: 'octets',
    handler: greet,
    payload: '{"key":"v"}',
    type: 'application/octet-stream',
    status: 200,
    body: '"hello, v!"'
  },
  {
    name: 'a prototype',
    handler: defineEventHandler((event) => event),
    payload: '{"a":{"\\u005f_proto__":{"b":1}}}',
    status: 400,
    body: "field '__proto__' is not allowed"
  },
  {
    name: 'what is thrown with a status',
    handler: defineEventHandler(() => {
      throw Object.assign(new RangeError('no tea'), { statusCode: 418 })
    }),
    status: 418,
    body: '{"errorMessage":"no tea","errorType":"RangeError"}',
    errorType: 'HandledInvocationError'
  },
  {
    name: 'what is thrown without one',
    handler: defineEventHandler(async () => {
      throw new Error('secret')
    }),
    status: 500,
    body: INTERNAL,
    errorType: 'UnhandledInvocationError'
  },
  {
    name: 'a string that is thrown',
    handler: defineEventHandler(() => {
      throw 'secret'
    }),
    status: 500,
    body: INTERNAL
  },
  {
    name: 'a 503 that is thrown',
    handler: defineEventHandler(() => {
      throw Object.assign(new Error('secret'), { statusCode: 503 })
    }),
    status: 503,
    body: INTERNAL
  },
  { name: 'a BigInt', handler: defineEventHandler(() => ({ n: 1n })), status: 500, body: INTERNAL },
  { name: 'a cycle', handler: defineEventHandler(() => cycle), status: 500, body: INTERNAL },
  { name: 'not a number', handler: defineEventHandler(() => [Number.NaN]), status: 500, body: INTERNAL },
  { name: 'a Map', handler: defineEventHandler(() => ({ m: new Map() })), status: 500, body: INTERNAL },
  {
    name: 'a handler that does not return',
    handler: defineEventHandler({ timeout: 20 }, () => new Promise(() => {})),
    status: 504,
    body: '"errorType":"FunctionTimeout"',
    errorType: 'UnhandledInvocationError'
  },
  {
    name: 'a handler without parameters, whatever comes',
    handler: defineEventHandler(() => 1),
    payload: 'no JSON',
    type: 'text/plain',
    status: 200,
    body: '1'
  }
]
for (const { name, handler, payload, type = 'application/json', status, body, contentType, errorType } of table) {
  test(`POST /events/:name answers ${status} to ${name}`, async (t) => {
    const { app } = await startEvents(t, { probe: handler })

    const headers = payload === undefined ? {} : { 'content-type': type }
    const answer = await app.inject({ method: 'POST', url: '/events/probe', headers, ...(payload && { payload }) })

    assert.equal(answer.statusCode, status)
    assert.ok(answer.rawPayload.toString('latin1').includes(body), answer.body)
    if (contentType !== undefined) assert.equal(answer.headers['content-type'], contentType)
    assert.equal(answer.headers['x-fc-error-type'] === undefined, status < 400)
    if (errorType !== undefined) assert.equal(answer.headers['x-fc-error-type'], errorType)
  })
}

test('an unknown function is a 404, an event that is too large a 413', async (t) => {
  const { app } = await startEvents(t, { greet }, { bodyLimit: '16b' })

  const unknown = await app.inject({ method: 'POST', url: '/events/nobody' })
  const large = await app.inject({ method: 'POST', url: '/events/greet', payload: { key: 'x'.repeat(20) } })

  assert.equal(unknown.statusCode, 404)
  assert.deepEqual(unknown.json(), {
    errorMessage: "There is no event function 'nobody'",
    errorType: 'UnknownFunction'
  })
  assert.equal(large.statusCode, 413)
  assert.deepEqual(large.json(), { errorMessage: 'The event is larger than 16 bytes', errorType: 'EventTooLarge' })
})

test('more events at once than the function takes are a 429, until a handler returns', async (t) => {
  const gate = deferred()
  const begun = deferred()
  const slow = defineEventHandler(() => {
    begun.resolve()
    return gate.promise
  })
  const { app } = await startEvents(t, { slow }, { maxConcurrency: 1 })
  const post = async () => app.inject({ method: 'POST', url: '/events/slow' })

  const first = post()
  await begun.promise
  const second = await post()
  gate.resolve()
  const third = await first.then(post)

  assert.deepEqual([(await first).statusCode, second.statusCode, third.statusCode], [204, 429, 204])
})

test('an async invocation is answered at once, and done before the application has closed', async (t) => {
  const gate = deferred()
  const done: unknown[] = []
  const slow = defineEventHandler({ preStop: () => void done.push('stopped') }, async (event) => {
    await gate.promise
    done.push(event)
  })
  const { app } = await startEvents(t, { slow })
  const headers = { 'x-fc-invocation-type': 'Async', 'content-type': 'application/json' }

  const answer = await app.inject({ method: 'POST', url: '/events/slow', headers, payload: '{"n":1}' })
  const refused = await app.inject({ method: 'POST', url: '/events/slow', headers, payload: '{"n"' })
  const closed = app.close()
  const before = [...done]
  gate.resolve()
  await closed

  assert.equal(answer.statusCode, 202)
  assert.match(answer.json().requestId, /./)
  assert.equal(refused.statusCode, 400)
  assert.deepEqual(before, [])
  assert.deepEqual(done, [{ n: 1 }, 'stopped'])
})

test('the context tells request, function, time left, and has the log of the request', async (t) => {
  const seen: EventContext[] = []
  const probe = defineEventHandler({ timeout: '5s' }, (_event, context) => {
    context.log.info({ mark: 'from the function' }, 'hello')
    seen.push(context)
    return { id: context.requestId, left: context.remainingTime() }
  })
  const { app, logged } = await startEvents(t, { probe })

  const answer = await app.inject({ method: 'POST', url: '/events/probe' })

  const { id, left } = answer.json()
  assert.equal(seen[0]?.functionName, 'probe')
  assert.ok(left > 0 && left <= 5_000)
  assert.match(logged(), new RegExp(`"reqId":"${id}","mark":"from the function"`))
})

test('the signal is aborted when the time is up', async (t) => {
  const aborted = deferred<unknown>()
  const probe = defineEventHandler({ timeout: 20 }, (_event, { signal }) => {
    signal.addEventListener('abort', () => aborted.resolve(signal.reason))
    return new Promise(() => {})
  })
  const { app } = await startEvents(t, { probe })

  await app.inject({ method: 'POST', url: '/events/probe' })

  assert.ok((await aborted.promise) instanceof FunctionTimeoutError)
})

test('the signal is aborted when the client leaves', async (t) => {
  const begun = deferred()
  const aborted = deferred()
  const probe = defineEventHandler((_event, { signal }) => {
    signal.addEventListener('abort', () => aborted.resolve())
    begun.resolve()
    return new Promise(() => {})
  })
  const { app } = await startEvents(t, { probe })
  await app.listen({ host: '127.0.0.1', port: 0 })

  const socket = connect({ host: '127.0.0.1', port: portOf(app.server) })
  socket.write('POST /events/probe HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
  await begun.promise
  socket.destroy()

  await aborted.promise
})

test('what functions say of their failures stays in the log, unless it is asked for', async (t) => {
  const fail = defineEventHandler(() => {
    throw new TypeError('the password is 1234')
  })
  const closed = await startEvents(t, { fail })
  const open = await startEvents(t, { fail }, { exposeErrors: true })

  const hidden = await closed.app.inject({ method: 'POST', url: '/events/fail' })
  const shown = await open.app.inject({ method: 'POST', url: '/events/fail' })

  assert.equal(hidden.body, INTERNAL)
  assert.match(closed.logged(), /the password is 1234/)
  const { errorMessage, errorType, stackTrace } = shown.json()
  assert.deepEqual([errorMessage, errorType], ['the password is 1234', 'TypeError'])
  assert.match(stackTrace[1], /^at /)
})

test('invoke has the result as it is, and rejects with what is thrown', async (t) => {
  const { app } = await startEvents(t, {
    greet,
    wrong: defineEventHandler({ output: z.object({ n: z.number() }) }, () => JSON.parse('{"n":"1"}'))
  })

  assert.equal(await app.events.invoke('greet', { key: 'you' }), 'hello, you!')
  await assert.rejects(app.events.invoke('greet', { key: 1 }), InvalidEventError)
  await assert.rejects(app.events.invoke('nobody'), UnknownFunctionError)
  await assert.rejects(app.events.invoke('wrong'), (error) => {
    return error instanceof InvalidResultError && /: n: Invalid input: expected number/.test(error.message)
  })
  assert.deepEqual(app.events.names, ['greet', 'wrong'])
})

test('functions can be defined later, once under each name', async (t) => {
  const { app } = await startEvents(t, {})
  app.events.define('greet', greet)

  assert.throws(() => app.events.define('greet', greet), DuplicateFunctionError)
  assert.throws(() => app.events.define('a/b', greet), InvalidFunctionError)
  assert.equal((await app.inject({ method: 'POST', url: '/events/greet', payload: { key: 'v' } })).statusCode, 200)
})

test('the initializer runs once before the first event; when it throws, the start fails', async (t) => {
  const order: string[] = []
  const initializer = () => void order.push('initializer')
  const { app } = await startEvents(t, {
    probe: defineEventHandler({ initializer }, () => void order.push('event'))
  })
  await app.events.invoke('probe')
  await app.events.invoke('probe')
  const broken = Fastify()
  t.after(() => broken.close())
  const refuse = () => Promise.reject(new Error('no database'))
  broken.register(events, { functions: { probe: defineEventHandler({ initializer: refuse }, () => 1) } })

  await assert.rejects(async () => broken.ready(), /no database/)
  assert.deepEqual(order, ['initializer', 'event', 'event'])
})

test('a function of mode http is given the request, and its result is the response', async (t) => {
  const handler = defineEventHandler({ mode: 'http' }, (event) => ({
    statusCode: 201,
    headers: { 'X-Seen': JSON.stringify(event), 'Content-Type': 'text/html' },
    cookies: ['a=1; Path=/', 'b=2'],
    body: Buffer.from('<p>hi').toString('base64'),
    isBase64Encoded: true
  }))
  const { app } = await startEvents(t, { page: handler })

  const answer = await app.inject({
    method: 'POST',
    url: '/events/page?a=1&a=%2C',
    headers: { cookie: 'x=1; y=2', 'content-type': 'text/plain', 'x-list': ['1', '2'] },
    payload: 'body'
  })

  assert.equal(answer.statusCode, 201)
  assert.equal(answer.body, '<p>hi')
  assert.equal(answer.headers['content-type'], 'text/html')
  assert.deepEqual(answer.headers['set-cookie'], ['a=1; Path=/', 'b=2'])
  const event = JSON.parse(String(answer.headers['x-seen']))
  assert.equal(event.rawPath, '/events/page')
  assert.equal(event.rawQueryString, 'a=1&a=%2C')
  assert.deepEqual(event.queryStringParameters, { a: '1,,' })
  assert.deepEqual(event.cookies, ['x=1', 'y=2'])
  assert.equal(event.headers['x-list'], '1,2')
  assert.equal(event.body, 'body')
  assert.equal(event.isBase64Encoded, false)
})

const malformed = [
  { name: 'a status that is none', result: { statusCode: 99 } },
  { name: 'a status in words', result: { statusCode: 'fine' } },
  { name: 'a body that is no string', result: { statusCode: 200, body: {} } },
  { name: 'a header with a line break', result: { statusCode: 200, headers: { a: 'b\r\nc: d' } } },
  { name: 'a header that is a mapping', result: { statusCode: 200, headers: { a: {} } } },
  { name: 'cookies that are no list', result: { statusCode: 200, cookies: 'a=1' } }
]
for (const { name, result } of malformed) {
  test(`a function of mode http that returns ${name} is a 502`, async (t) => {
    const { app } = await startEvents(t, { page: defineEventHandler({ mode: 'http' }, () => result) })

    const answer = await app.inject({ method: 'POST', url: '/events/page' })

    assert.equal(answer.statusCode, 502)
    assert.equal(answer.json().errorType, 'MalformedResult')
  })
}

test('a function of mode http may return a body alone', async (t) => {
  const { app } = await startEvents(t, { page: defineEventHandler({ mode: 'http' }, () => ({ ok: true })) })

  const answer = await app.inject({ method: 'POST', url: '/events/page' })

  assert.deepEqual([answer.statusCode, answer.body], [200, '{"ok":true}'])
})

test('the routes can be left out, or be elsewhere', async (t) => {
  const none = await startEvents(t, { greet }, { path: false })
  const moved = await startEvents(t, { greet }, { path: '/functions/v1' })
  const payload = { key: 'v' }

  const missing = await none.app.inject({ method: 'POST', url: '/events/greet', payload })
  const found = await moved.app.inject({ method: 'POST', url: '/functions/v1/greet', payload })

  assert.deepEqual([missing.statusCode, found.statusCode], [404, 200])
})

test('other routes of the application keep their parsers and their errors', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(events, { functions: { greet } })
  app.post('/own', async ({ body }) => ({ body }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect({ host: '127.0.0.1', port: portOf(app.server) })
  socket.end()
  await once(socket, 'close')

  const answer = await app.inject({ method: 'POST', url: '/own', payload: { a: 1 } })
  const refused = await app.inject({ method: 'POST', url: '/own', headers: { 'content-type': 'x/y' }, payload: 'z' })

  assert.deepEqual(answer.json(), { body: { a: 1 } })
  assert.equal(refused.json().code, 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
})
