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
  /** The page that shows the form. */
  source: string
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

for (const { name, source, event, expected } of samples) {
  test(`the application gets the request of ${name}, byte for byte`, async (t) => {
    const { app, seen } = answering(t, () => 'ok')

    await createEventHandler(app)(event)
    await createEventHandler(app)(Buffer.from(JSON.stringify(event)))
    await createEventHandler(app)(JSON.stringify(event))

    assert.match(source, /^https:/)
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
  { name: 'that is a loopback one of IPv6', sourceIp: '::1' },
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
  assert.equal(headerOf('x-forwarded-for'), '11.11.11.**')
  assert.equal(headerOf('x-forwarded-proto'), 'https')
  assert.equal(headerOf('x-request-id'), '1-64f6cd87-*************')
  assert.deepEqual(
    pairs.filter((item) => /^x-fc-|^user-agent$/i.test(item)),
    []
  )
})

const refused = [{}, { Records: [] }, [], 'text', { version: '2.0' }]
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

/** Stands for the global of Lambda's runtime. */
function installLambda(t: TestContext): { preludes: object[]; chunks: string[] } {
  const preludes: object[] = []
  const chunks: string[] = []
  const output = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    }
  })
  const lambda = {
    streamifyResponse: (handler: (event: unknown, output: Writable, context: unknown) => unknown) => {
      return async (event: unknown, context: unknown) => handler(event, output, context)
    },
    HttpResponseStream: {
      from: (stream: Writable, prelude: object) => {
        preludes.push(prelude)
        return stream
      }
    }
  }
  Reflect.set(globalThis, 'awslambda', lambda)
  t.after(() => Reflect.deleteProperty(globalThis, 'awslambda'))
  return { preludes, chunks }
}

test('on Lambda, a response is streamed as it comes, behind its prelude', async (t) => {
  const { preludes, chunks } = installLambda(t)
  const gate = deferred()
  const { app } = answering(t, async (reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'set-cookie': ['a=1', 'b=2'] })
    reply.raw.write('data: 1\n\n')
    await gate.promise
    reply.raw.end('data: 2\n\n')
  })

  const done = createEventHandler(app, { stream: true })(v2.event)
  await eventually(() => chunks.length > 0, 'nothing is streamed')
  const first = [...chunks]
  gate.resolve()
  await done

  assert.deepEqual(first, ['data: 1\n\n'])
  assert.deepEqual(chunks, ['data: 1\n\n', 'data: 2\n\n'])
  const [{ headers, ...prelude } = missing()] = preludes.map((given) => Object(given))
  assert.deepEqual(prelude, { statusCode: 200, cookies: ['a=1', 'b=2'] })
  assert.equal(headers['content-type'], 'text/event-stream')
  assert.equal(headers['transfer-encoding'], undefined)
})

test('elsewhere, streaming is refused when the handler is made', (t) => {
  const { app } = answering(t, () => 'ok')

  assert.throws(() => createEventHandler(app, { stream: true }), InvalidFunctionError)
})
