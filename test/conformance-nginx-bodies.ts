import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { eventually, RawClient, startGateway } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'
import { OK, startRecordingTarget, unframed } from './recording-target.ts'

const TEN = '0123456789'

/** One request as bytes, its body framed in either way. */
function request(framing: string, body: string, { path = '/', method = 'GET' } = {}): string {
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n`
  if (framing === 'content-length') return `${head}Content-Length: ${body.length}\r\n\r\n${body}`
  return `${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
}

const FRAMINGS = ['content-length', 'transfer-encoding']
const framed = <Row>(rows: Row[]) => FRAMINGS.flatMap((framing) => rows.map((row) => ({ framing, row })))
const count = (text: string, what: string) => text.split(what).length - 1

conforms(
  "body.t 'no body'; proxy_request_buffering.t 'no body'",
  'no body is made up where there is none',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.until('\r\n\r\nok')

    assert.doesNotMatch(target.requests[0]?.head ?? '', /^(content-length|transfer-encoding):/im)
  }
)

conformsEach(
  "body.t, body_chunked.t, proxy_request_buffering.t, proxy_request_buffering_chunked.t 'body', 'body in two buffers', 'body in single buffer', 'body in file', 'body in file only', 'small body in file only'",
  'a body arrives as it was sent',
  framed([1, 128, 512]),
  ({ framing, row }) => `${row * 10} bytes, ${framing}`,
  async (t, { framing, row }) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(request(framing, TEN.repeat(row)))
    await client.until('\r\n\r\nok')

    const [arrived] = target.requests
    assert.ok(arrived !== undefined)
    assert.equal(unframed(arrived), TEN.repeat(row))
    assert.match(arrived.head, new RegExp(`^${framing}: `, 'm'))
  }
)

conformsEach(
  "body.t 'body too large'; body_chunked.t 'body too large'",
  'a body above the limit is a 413',
  FRAMINGS,
  (framing) => framing,
  async (t, framing) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], { options: { server: { bodyLimit: 1_000 } } })
    const client = new RawClient(t, gateway.port)

    client.write(request(framing, TEN.repeat(128)))

    assert.match(await client.until('FST_GATEWAY_BODY_TOO_LARGE'), /^HTTP\/1\.1 413 /)
    assert.equal(target.requests.length, 0)
  }
)

conformsEach(
  "body.t, body_chunked.t, proxy_request_buffering.t, proxy_request_buffering_chunked.t 'body pipelined', 'body pipelined 2'",
  'pipelined requests each arrive with their own body, and are answered in order',
  framed([
    [1, 128, 512],
    [128, 512, 1]
  ]),
  ({ framing, row }) => `${row.join(', ')}, ${framing}`,
  async (t, { framing, row }) => {
    const target = await startRecordingTarget(t, (socket, arrived) => {
      const length = String(unframed(arrived).length)
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${length.length + 2}\r\n\r\n<${length}>`)
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)
    const bodies = [...row.map((times) => TEN.repeat(times)), 'foobar']

    client.write(bodies.map((body) => request(framing, body)).join(''))
    await client.until('<6>')

    assert.deepEqual(
      client.text.match(/<\d+>/g),
      bodies.map((body) => `<${body.length}>`)
    )
    assert.deepEqual(target.requests.map(unframed).sort(), [...bodies].sort())
  }
)

conformsEach(
  "body.t, body_chunked.t, proxy_request_buffering.t, proxy_request_buffering_chunked.t 'body discard', 'body discard 2'",
  'a body that nobody reads does not keep the next request from being answered',
  framed([
    [1, 128, 512],
    [128, 512, 1]
  ]),
  ({ framing, row }) => `${row.join(', ')}, ${framing}`,
  async (t, { framing, row }) => {
    const gateway = await startGateway(t, [], {
      prepare: (app) => {
        app.addHook('onRequest', async (_request, reply) => reply.send('test'))
      }
    })
    const client = new RawClient(t, gateway.port)

    client.write([...row, 1].map((times) => request(framing, TEN.repeat(times))).join(''))

    await eventually(() => count(client.text, '\r\n\r\ntest') === 4, 'an answer is missing')
    assert.equal(count(client.text, 'HTTP/1.1 200 '), 4)
  }
)

conformsEach(
  "body.t 'small body in file only, not preread'",
  'a body that comes in two pieces arrives whole',
  ['01234', ''],
  (first) => `'${first}' first`,
  async (t, first) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`GET /small HTTP/1.0\r\nContent-Length: 10\r\n\r\n${first}`)
    await eventually(() => target.connections() === 1, 'nothing is sent')
    client.write(TEN.slice(first.length))

    assert.match(await client.end(), /\r\n\r\nok$/)
    assert.match(target.requests[0]?.head ?? '', /^GET \/small /)
    assert.equal(target.requests[0]?.body, TEN)
  }
)

conforms(
  "body.t 'redirect - discard request body'",
  'the body of a request that cannot be forwarded is not taken for the next request',
  async (t) => {
    const gateway = await startGateway(t, [])
    const client = new RawClient(t, gateway.port)

    client.write(`${request('content-length', TEN, { method: 'POST' })}GET /next HTTP/1.0\r\n\r\n`)

    const text = await client.end()
    assert.match(text, /^HTTP\/1\.1 503 /)
    assert.doesNotMatch(text, /HTTP\/1\.1 400/)
  }
)

conformsEach(
  "body_chunked.t 'runaway chunk', 'runaway chunk discard'",
  'a chunk longer than its size is a 400',
  ['POST', 'GET'],
  (method) => method,
  async (t, method) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nSEE-THIS\r\n0\r\n\r\n`)

    assert.match(await client.end(), /^HTTP\/1\.1 400 /)
    assert.equal(target.requests.length, 0)
  }
)

conformsEach(
  "body_chunked.t 'transfer encoding repeat', 'transfer encoding with content-length', 'transfer encoding in HTTP/1.0 requests'",
  'framing that may be read in two ways is a 400',
  [
    ['1.1', 'chunked\r\nTransfer-Encoding: chunked'],
    ['1.1', 'chunked\r\nContent-Length: 5'],
    ['1.0', 'chunked']
  ] as const,
  ([version, value]) => JSON.stringify([version, value]),
  async (t, [version, value]) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`GET / HTTP/${version}\r\nHost: a\r\nTransfer-Encoding: ${value}\r\n\r\n0\r\n\r\n`)

    assert.match(await client.end(), /^HTTP\/1\.1 400 /)
    assert.equal(target.requests.length, 0)
  }
)

differs(
  "body_chunked.t 'transfer encoding identity', 'transfer encoding list'",
  'a coding other than chunked is a 400, not a 501',
  'the parser of Node.js refuses it before anybody else sees it; either way nothing is forwarded',
  async (t) => {
    for (const coding of ['identity', 'chunked, identity']) {
      const target = await startRecordingTarget(t)
      const gateway = await startGateway(t, [target.url])
      const client = new RawClient(t, gateway.port)

      client.write(`GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`)

      assert.match(await client.end(), /^HTTP\/1\.1 400 /)
      assert.equal(target.requests.length, 0)
    }
  }
)

conformsEach(
  "proxy_request_buffering.t, proxy_request_buffering_chunked.t, proxy_request_buffering_ssl.t 'no preread', 'preread' and 'chunks', with 'body part', 'body part 2' and 'response' of each",
  'a piece of a body is sent on before the next one comes',
  [
    { framing: 'Content-Length: 10', pieces: ['', '01234', '56789'], sent: '0123456789' },
    { framing: 'Content-Length: 10', pieces: ['01234', '56789'], sent: '0123456789' },
    {
      framing: 'Transfer-Encoding: chunked',
      pieces: ['', '5\r\n01234\r\n', '5\r\n56789\r\n0\r\n\r\n'],
      sent: '5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n'
    },
    {
      framing: 'Transfer-Encoding: chunked',
      pieces: ['5\r\n01234\r\n4\r\nmany\r\n', '5\r\n56789\r\n0\r\n\r\n'],
      sent: '5\r\n01234\r\n4\r\nmany\r\n5\r\n56789\r\n0\r\n\r\n'
    }
  ],
  ({ framing, pieces }) => JSON.stringify([framing, ...pieces]),
  async (t, { framing, pieces, sent }) => {
    let arrived = ''
    const target = await startRawTarget(t, (socket) => {
      answer = () => socket.write(OK)
      socket.on('data', (chunk) => {
        arrived += chunk.toString('latin1')
      })
    })
    let answer = (): unknown => undefined
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`GET /preread HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
    let expected = ''
    for (const piece of pieces) {
      client.write(piece)
      expected += piece
      await eventually(() => arrived.split('\r\n\r\n').slice(1).join('\r\n\r\n') === expected, `not sent on: ${piece}`)
    }
    answer()

    await client.until('\r\n\r\nok')
    assert.equal(expected, sent)
  }
)
