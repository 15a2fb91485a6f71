import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyReply } from 'fastify'
import { InvalidFunctionError, UnsupportedEventError } from '../plugins/errors.ts'
import { createEventHandler } from '../plugins/events/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { deferred } from './events-helper.ts'
import { eventually } from './forwarding-helper.ts'
import { fixture } from './helper.ts'
import { createApp } from './plugin-helper.ts'

interface Sample {
  name: string
  /** The page that describes the form; the event is made after it. */
  source: string
  /** A published event whose fields were compared with those of this one. */
  checkedAgainst: string
  event: Record<string, unknown>
  expected: { method: string; url: string; headers: string[]; body: string; ip: string }
}

const samples = fixture<Sample[]>('platform-events.json')
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452ff00fe0d0a', 'hex')
const [v2 = missing(), , , v1 = missing(), alb = missing(), albMulti = missing(), fc = missing()] = samples

function missing(): never {
  throw new Error('a sample is missing')
}

/** An application that answers everything in the same way, and what it was asked. */
function answering(t: TestContext, answer: (reply: FastifyReply) => unknown) {
  const app = createApp(t)
  const seen: Sample['expected'][] = []
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.all('/*', async ({ raw, ip, body }, reply) => {
    const { method = '', url = '' } = raw
    const headers = raw.rawHeaders.slice(0, raw.rawHeaders.indexOf('Connection'))
    seen.push({ method, url, headers, ip, body: Buffer.isBuffer(body) ? body.toString('base64') : '' })
    return answer(reply)
  })
  return { app, seen }
}

for (const { name, source, checkedAgainst, event, expected } of samples) {
  test(`the application gets the request of ${name}, byte for byte`, async (t) => {
    const { app, seen } = answering(t, () => 'ok')

    await createEventHandler(app)(event)
    await createEventHandler(app)(Buffer.from(JSON.stringify(event)))
    await createEventHandler(app)(JSON.stringify(event))

    assert.match(source, /^https:/)
    assert.match(checkedAgainst, / at [0-9a-f]{7}, /)
    assert.deepEqual(seen, [expected, expected, expected])
  })
}

const image = (reply: FastifyReply) =>
  reply.header('set-cookie', ['a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2']).type('image/png').send(PNG)
const DATE = /^\w{3}, /
const COOKIES = ['a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2']

/** The result without its date, which must be one where it is allowed. */
async function resultOf(app: ReturnType<typeof Fastify>, event: unknown): Promise<unknown> {
  const result = await createEventHandler(app)(event)
  const text = JSON.stringify(result, (key, value) => (key === 'date' ? 'DATE' : value))
  const date = /"date":\[?"([^"]+)/.exec(JSON.stringify(result))?.[1]
  if (date !== undefined) assert.match(date, DATE)
  return JSON.parse(text)
}

const body = { body: PNG.toString('base64'), isBase64Encoded: true }
const single = { 'content-type': 'image/png', 'content-length': '21' }
const multi = { 'set-cookie': COOKIES, 'content-type': ['image/png'], 'content-length': ['21'] }
const cased = { 'set-cookie': COOKIES[0], 'Set-cookie': COOKIES[1] }
const results = [
  { sample: v2, expected: { statusCode: 200, headers: { ...single, date: 'DATE' }, cookies: COOKIES, ...body } },
  { sample: v1, expected: { statusCode: 200, multiValueHeaders: { ...multi, date: 'DATE' }, ...body } },
  {
    sample: alb,
    expected: {
      statusCode: 200,
      statusDescription: '200 OK',
      headers: { ...single, date: 'DATE', ...cased },
      ...body
    }
  },
  {
    sample: albMulti,
    expected: {
      statusCode: 200,
      statusDescription: '200 OK',
      multiValueHeaders: { ...multi, date: 'DATE' },
      ...body
    }
  },
  { sample: fc, expected: { statusCode: 200, headers: { 'content-type': 'image/png', ...cased }, ...body } }
]
for (const { sample, expected } of results) {
  test(`an image with two cookies is answered in the form of ${sample.name}`, async (t) => {
    const { app } = answering(t, image)

    assert.deepEqual(await resultOf(app, sample.event), expected)
  })
}

const bodies = [
  { name: 'JSON', type: 'application/json; charset=utf-8', coding: undefined, isBase64: false },
  { name: 'text', type: 'text/html', coding: undefined, isBase64: false },
  { name: 'XML of a kind', type: 'image/svg+xml', coding: undefined, isBase64: false },
  { name: 'compressed text', type: 'text/html', coding: 'gzip', isBase64: true },
  { name: 'text as it is', type: 'text/html', coding: 'identity', isBase64: false },
  { name: 'a PDF', type: 'application/pdf', coding: undefined, isBase64: true }
]
for (const { name, type, coding, isBase64 } of bodies) {
  test(`${name} leaves as ${isBase64 ? 'base64' : 'text'}`, async (t) => {
    const { app } = answering(t, (reply) => {
      if (coding !== undefined) reply.header('content-encoding', coding)
      return reply.header('content-type', type).send(Buffer.from('é'))
    })

    const result = await resultOf(app, v2.event)

    assert.deepEqual(Object.entries(Object(result)).slice(-2), [
      ['body', isBase64 ? 'w6k=' : 'é'],
      ['isBase64Encoded', isBase64]
    ])
  })
}

const addresses = [
  { name: 'that is a loopback one', sourceIp: '127.0.0.1' },
  { name: 'that is another loopback one', sourceIp: '127.8.8.8' },
  { name: 'that is a loopback one of IPv6', sourceIp: '::1' },
  { name: 'that is one of IPv6 in full', sourceIp: '0:0:0:0:0:0:0:1' },
  { name: 'that is a mapped loopback one', sourceIp: '::ffff:127.0.0.1' },
  { name: 'that is a mapped loopback one in hexadecimal', sourceIp: '::FFFF:7f00:1' },
  { name: 'that is a name', sourceIp: 'localhost' },
  { name: 'that is masked', sourceIp: '11.11.11.**' },
  { name: 'that is missing', sourceIp: undefined }
]
for (const { name, sourceIp } of addresses) {
  test(`an address ${name} is not taken for one on this machine`, async (t) => {
    const { app, seen } = answering(t, () => 'ok')
    const requestContext = { http: { method: 'GET', path: '/', sourceIp }, stage: '$default' }

    await createEventHandler(app)({ version: '2.0', rawPath: '/', headers: {}, requestContext })

    assert.equal(seen[0]?.ip, '0.0.0.0')
  })
}

const forwarded = [
  { value: '127.0.0.1, 192.0.2.1', ip: '192.0.2.1' },
  { value: '192.0.2.1:4711', ip: '192.0.2.1' },
  { value: '[2001:db8::7]:4711', ip: '2001:db8::7' },
  { value: '192.0.2.1, 127.0.0.1', ip: '0.0.0.0' },
  { value: '', ip: '0.0.0.0' }
]
for (const { value, ip } of forwarded) {
  test(`behind a load balancer that writes '${value}', the peer is ${ip}`, async (t) => {
    const { app, seen } = answering(t, () => 'ok')
    const headers = { ...Object(alb.event.headers), 'x-forwarded-for': value }

    await createEventHandler(app)({ ...alb.event, headers })

    assert.equal(seen[0]?.ip, ip)
  })
}

test('a gateway forwards the event with the address and the scheme of the client, and no credentials', async (t) => {
  const target = Fastify()
  t.after(() => target.close())
  target.all('/*', async ({ raw }) => raw.rawHeaders)
  const app = createApp(t)
  await app.register(proxy, {
    apps: { target },
    upstreams: { all: { targets: ['app:target'] } },
    routes: [{ match: { path: '/*' }, upstream: 'all' }]
  })
  const headers = { ...Object(fc.event.headers), 'x-fc-security-token': 'token' }

  const result = await createEventHandler(app)({ ...fc.event, headers, body: '' })

  const pairs: string[] = JSON.parse(Object(result).body)
  const headerOf = (name: string) => pairs[pairs.indexOf(name) + 1]
  assert.equal(headerOf('x-forwarded-for'), '203.0.113.11')
  assert.equal(headerOf('x-forwarded-proto'), 'https')
  assert.equal(headerOf('x-request-id'), '1-64f6cd87-*************')
  assert.deepEqual(
    pairs.filter((item) => /^x-fc-|^user-agent$/i.test(item)),
    []
  )
})

const get = { httpMethod: 'GET', path: '/' }
const refused = [
  {},
  { Records: [] },
  [],
  'text',
  { version: '2.0' },
  // What authorizers are asked, and a message of a WebSocket API.
  { type: 'REQUEST', methodArn: 'arn:aws:execute-api', ...get, requestContext: {} },
  { version: '2.0', routeArn: 'arn:aws:execute-api', rawPath: '/', requestContext: { http: { method: 'GET' } } },
  { ...get, requestContext: { connectionId: 'R1=', eventType: 'MESSAGE' } }
]
for (const event of refused) {
  test(`the event ${JSON.stringify(event)} is none of HTTP`, async (t) => {
    const { app } = answering(t, () => 'ok')
    const given = typeof event === 'string' ? JSON.stringify(event) : event

    await assert.rejects(createEventHandler(app)(given), UnsupportedEventError)
    const other = createEventHandler(app, { onOtherEvent: (...seen) => seen })
    assert.deepEqual(await other(given, 'context'), [event, 'context'])
  })
}

test('a request that HTTP cannot carry, and an application that gives up, are a 500', async (t) => {
  const { app } = answering(t, (reply) => {
    reply.hijack()
    reply.raw.destroy()
  })
  const handler = createEventHandler(app)

  const broken = await handler({ ...v2.event, headers: { 'x-odd': 'a\r\nb: c' } })
  const cut = await handler(v2.event)

  for (const result of [broken, cut]) assert.equal(Object(result).statusCode, 500)
})

test('dot segments arrive as they were sent', async (t) => {
  const { app, seen } = answering(t, () => 'ok')

  await createEventHandler(app)({ ...v2.event, rawPath: '/a/../b/%2e%2e', rawQueryString: "q='<>" })

  assert.equal(seen[0]?.url, "/a/../b/%2e%2e?q='<>")
})

/**
 * Stands for the global of Lambda's runtime, whose streams write the prelude as JSON, and eight zero bytes, before the
 * first bytes of the body.
 */
function installLambda(t: TestContext) {
  const chunks: string[] = []
  const types: string[] = []
  const output = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    }
  })
  // Lambda reports the failure of a stream; it does not crash.
  output.on('error', () => {})
  const lambda = {
    streamifyResponse: (handler: (event: unknown, output: Writable, context: unknown) => unknown) => {
      return async (event: unknown, context: unknown) => handler(event, output, context)
    },
    HttpResponseStream: {
      from: (stream: Writable, prelude: object) => {
        types.push('application/vnd.awslambda.http-integration-response')
        stream.write(`${JSON.stringify(prelude)}${'\0'.repeat(8)}`)
        return stream
      }
    }
  }
  Reflect.set(globalThis, 'awslambda', lambda)
  t.after(() => Reflect.deleteProperty(globalThis, 'awslambda'))
  return { chunks, output, types }
}

test('on Lambda, a response is streamed as it comes, behind its prelude', async (t) => {
  const { chunks, output, types } = installLambda(t)
  const gate = deferred()
  const { app } = answering(t, async (reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', date: 'now', 'set-cookie': ['a=1', 'b=2'] })
    reply.raw.write('data: 1\n\n')
    await gate.promise
    reply.raw.end('data: 2\n\n')
  })

  const done = createEventHandler(app, { stream: true })(v2.event)
  await eventually(() => chunks.length > 1, 'nothing is streamed')
  const first = [...chunks]
  gate.resolve()
  await done

  const prelude =
    '{"statusCode":200,"headers":{"content-type":"text/event-stream","date":"now"},"cookies":["a=1","b=2"]}'
  assert.deepEqual(first, [`${prelude}${'\0'.repeat(8)}`, 'data: 1\n\n'])
  assert.deepEqual(chunks.slice(1), ['data: 1\n\n', 'data: 2\n\n'])
  assert.equal(types.length, 1)
  assert.equal(output.writableFinished, true)
})

test('on Lambda, a response without a body ends behind its prelude', async (t) => {
  const { chunks, output } = installLambda(t)
  const { app } = answering(t, (reply) => reply.code(204).header('date', 'now').send())

  await createEventHandler(app, { stream: true })(v2.event)

  assert.deepEqual(chunks, [`{"statusCode":204,"headers":{"date":"now"}}${'\0'.repeat(8)}`])
  assert.equal(output.writableFinished, true)
})

test('on Lambda, a failure before the head is a 500', async (t) => {
  const { chunks, output } = installLambda(t)
  const { app } = answering(t, (reply) => {
    reply.hijack()
    reply.raw.destroy()
  })

  await createEventHandler(app, { stream: true })(v2.event)

  assert.match(chunks[0] ?? '', /^\{"statusCode":500,"headers":\{"content-type":"application\/json/)
  assert.equal(JSON.parse(chunks[1] ?? '').message, 'Internal Server Error')
  assert.equal(output.writableFinished, true)
})

test('on Lambda, a failure after the head does not look like an end', async (t) => {
  const { chunks, output } = installLambda(t)
  const gate = deferred()
  const { app } = answering(t, async (reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/plain' })
    reply.raw.write('half')
    await gate.promise
    reply.raw.destroy()
  })

  const done = createEventHandler(app, { stream: true })(v2.event)
  await eventually(() => chunks.length > 1, 'nothing is streamed')
  gate.resolve()
  await done

  assert.equal(chunks[1], 'half')
  assert.deepEqual([output.destroyed, output.writableFinished], [true, false])
})

test('on Lambda, the application learns that the client has left', async (t) => {
  const { chunks, output } = installLambda(t)
  const left = deferred()
  const { app } = answering(t, (reply) => {
    reply.hijack()
    reply.raw.on('close', () => left.resolve())
    reply.raw.writeHead(200)
    reply.raw.write('first')
  })

  const done = createEventHandler(app, { stream: true })(v2.event)
  await eventually(() => chunks.length > 1, 'nothing is streamed')
  output.destroy()

  await Promise.all([left.promise, done])
})

test('elsewhere, streaming is refused when the handler is made', (t) => {
  const { app } = answering(t, () => 'ok')

  assert.throws(() => createEventHandler(app, { stream: true }), InvalidFunctionError)
})
