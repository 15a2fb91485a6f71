import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import { type TestContext, test } from 'node:test'
import { answerClientError } from '../plugins/proxy/index.ts'
import { always, eventually, RawClient, type RunningGateway, startGateway } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

async function start(t: TestContext, url = 'http://127.0.0.1:1'): Promise<RunningGateway> {
  return startGateway(t, [url], { server: { clientErrorHandler: answerClientError } })
}

interface Refused {
  what: string
  bytes: string
  status: number
  code: string
  allow?: string
}

const refused: Refused[] = [
  { what: 'garbage', bytes: '\x16\x03\x01\r\n\r\n', status: 400, code: 'BAD_REQUEST' },
  { what: 'a header without colon', bytes: 'GET / HTTP/1.1\r\nHost\r\n\r\n', status: 400, code: 'BAD_REQUEST' },
  {
    what: 'two lengths',
    bytes: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
    status: 400,
    code: 'BAD_FRAMING'
  },
  {
    what: 'headers of 20 KiB',
    bytes: `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_480)}\r\n\r\n`,
    status: 431,
    code: 'HEAD_TOO_LARGE'
  },
  {
    what: 'TRACK',
    bytes: 'TRACK / HTTP/1.1\r\nHost: a\r\n\r\n',
    status: 405,
    code: 'METHOD_NOT_ALLOWED',
    allow: 'GET'
  },
  { what: 'an unknown method', bytes: 'BREW /pot HTTP/1.1\r\n\r\n', status: 501, code: 'METHOD_NOT_IMPLEMENTED' },
  { what: 'a method in lower case', bytes: '\r\nget / HTTP/1.0\r\n\r\n', status: 501, code: 'METHOD_NOT_IMPLEMENTED' },
  { what: 'a method before garbage', bytes: 'BREW HTTP/1.1\r\n\r\n', status: 400, code: 'BAD_REQUEST' },
  { what: 'HTTP/1.2', bytes: 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', status: 505, code: 'VERSION_NOT_SUPPORTED' },
  { what: 'HTTP/3.0', bytes: 'GET / HTTP/3.0\r\nHost: a\r\n\r\n', status: 505, code: 'VERSION_NOT_SUPPORTED' },
  { what: 'half a version', bytes: 'GET / HTTP/1\r\nHost: a\r\n\r\n', status: 400, code: 'BAD_REQUEST' }
]

for (const { what, bytes, status, code, allow } of refused) {
  test(`${what} is answered with ${status} in the shape of Fastify's errors, and the connection closed`, async (t) => {
    const gateway = await start(t)
    const client = new RawClient(t, gateway.port)

    client.write(bytes)
    const text = await client.end()

    const [head = '', body = ''] = text.split('\r\n\r\n')
    const answer = JSON.parse(body)
    assert.ok(head.startsWith(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`))
    assert.match(head, /^connection: close$/m)
    assert.match(head, /^date: \w{3}, /m)
    assert.ok(head.includes(`content-length: ${body.length}`))
    assert.equal(/^allow: (\w+)/m.exec(head)?.[1], allow)
    assert.deepEqual(Object.keys(answer), ['statusCode', 'code', 'error', 'message'])
    assert.equal(answer.statusCode, status)
    assert.equal(answer.code, `FST_GATEWAY_${code}`)
    assert.equal(client.closed, 'end')
  })
}

test('a body that breaks off is answered by its exchange, which ends the attempt', async (t) => {
  const target = await startRawTarget(t, (socket) => socket.resume().on('end', () => socket.destroy()))
  const gateway = await start(t, target.url)
  const client = new RawClient(t, gateway.port)

  client.write(`${CHUNKED}3\r\nabc\r\n`)
  await eventually(() => target.sockets.size === 1, 'nothing arrives')
  client.write('x\r\n')

  assert.match(await client.end(), /^HTTP\/1\.1 400 [\s\S]*FST_GATEWAY_BAD_FRAMING/)
  await eventually(() => target.sockets.size === 0, 'the attempt goes on')
  await gateway.idle()
})

test('chunk extensions beyond measure are a 413', async (t) => {
  const target = await startRawTarget(t, () => {})
  const gateway = await start(t, target.url)
  const client = new RawClient(t, gateway.port)

  client.write(`${CHUNKED}1;${'x'.repeat(20_000)}`)

  assert.match(await client.end(), /^HTTP\/1\.1 413 [\s\S]*FST_GATEWAY_CHUNK_EXTENSIONS_TOO_LARGE/)
})

test('a body that breaks off after the answer has begun cuts it', async (t) => {
  const target = await startRawTarget(t, (socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin'))
  })
  const gateway = await start(t, target.url)
  const client = new RawClient(t, gateway.port)

  client.write(CHUNKED)
  await client.until('begin')
  client.write('x\r\n')
  await client.end()

  assert.match(client.text, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nbegin$/)
  await gateway.idle()
})

test('a body that breaks off after the answer is complete closes the connection', async (t) => {
  const target = await startRawTarget(t, always(OK).onSocket)
  const gateway = await start(t, target.url)
  const client = new RawClient(t, gateway.port)

  client.write(CHUNKED)
  await client.until('ok')
  client.write('x\r\n')

  assert.match(await client.end(), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok(HTTP\/1\.1 400 [\s\S]*)?$/)
})

test('a transfer coding other than chunked is refused before anything is sent', async (t) => {
  const target = always(OK)
  const gateway = await start(t, (await startRawTarget(t, target.onSocket)).url)
  const client = new RawClient(t, gateway.port)

  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n')

  assert.match(await client.end(), /^HTTP\/1\.1 400 [\s\S]*FST_GATEWAY_BAD_FRAMING/)
  assert.deepEqual(target.heads, [])
})

test('a body that breaks off where nobody listens is a 400', async (t) => {
  const gateway = await startGateway(t, [], {
    server: { clientErrorHandler: answerClientError },
    prepare: (app) => app.addHook('onRequest', () => new Promise<void>(() => {}))
  })
  const client = new RawClient(t, gateway.port)

  client.write(`${CHUNKED}x\r\n`)

  assert.match(await client.end(), /^HTTP\/1\.1 400 [\s\S]*FST_GATEWAY_BAD_FRAMING/)
})

test('a client that sends on after its request was refused gets the answer, and not a reset', async (t) => {
  const gateway = await start(t)
  const client = new RawClient(t, gateway.port)

  client.write('GET / HTTP/1.1\r\nbad header\r\n\r\n')
  client.write('x'.repeat(1_000_000))
  await client.end()

  assert.equal(client.closed, 'end')
  assert.match(client.text, /^HTTP\/1\.1 400 [\s\S]*\}$/)
})

test('a client that does not close after it was refused is cut off', async (t) => {
  const gateway = await start(t)
  const client = new RawClient(t, gateway.port)
  client.socket.removeAllListeners('end')
  let closed = false
  client.socket.on('close', () => {
    closed = true
  })

  client.write('bad\r\n\r\n')
  await client.until('}')
  // Writing is what shows that nobody reads any more.
  await eventually(() => closed || (client.socket.write('x') && closed), 'the connection stays open')

  assert.match(client.text, /^HTTP\/1\.1 400 /)
})

test('a request that takes too long is a 408', async (t) => {
  const target = await startRawTarget(t, () => {})
  const gateway = await startGateway(t, [target.url], {
    server: {
      clientErrorHandler: answerClientError,
      requestTimeout: 100,
      http: { headersTimeout: 50, connectionsCheckingInterval: 20 }
    }
  })
  const [head, body] = [new RawClient(t, gateway.port), new RawClient(t, gateway.port)]

  head.write('GET / HTTP/1.1\r\n')
  body.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab')

  assert.match(await head.end(), /^HTTP\/1\.1 408 [\s\S]*FST_GATEWAY_REQUEST_TIMEOUT/)
  assert.match(await body.end(), /^HTTP\/1\.1 408 [\s\S]*FST_GATEWAY_REQUEST_TIMEOUT/)
  await gateway.idle()
})

test('a client that closes in the middle of a body has left, and is not told otherwise', async (t) => {
  const target = await startTarget(t, (request) => request.resume())
  const gateway = await start(t, target.url)
  const client = new RawClient(t, gateway.port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab')
  await eventually(() => gateway.app.balancers.get('users').targets[0]?.inFlight === 1, 'nothing arrives')

  client.socket.end()
  await client.end()

  assert.equal(client.text, '')
  await gateway.idle()
})
