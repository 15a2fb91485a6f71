import assert from 'node:assert/strict'
import type { ServerHttp2Stream } from 'node:http2'
import { conforms, conformsEach } from './conformance-helper.ts'
import { MODES } from './conformance-modes.ts'
import { eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { fixture } from './helper.ts'
import { sendHttp2, startHttp2Gateway } from './http2-helper.ts'
import { type SeenFields, startHttp2Target } from './http2-transport-helper.ts'

const HTTP2 = { http2: true }
const TEN = '0123456789'

interface Kind {
  name: string
  method?: string
  status?: number
  body: string
  answer: (stream: ServerHttp2Stream) => void
}

const KINDS: Kind[] = [
  { name: 'length', body: 'see this', answer: (stream) => respond(stream, { 'content-length': '8' }, ['see this']) },
  { name: 'chunked', body: 'see this', answer: (stream) => respond(stream, {}, ['see this']) },
  { name: 'complex chunked', body: TEN.repeat(100), answer: (stream) => respond(stream, {}, Array(100).fill(TEN)) },
  { name: '0 chunk', body: '', answer: (stream) => respond(stream, {}, []) },
  { name: 'empty', body: '', answer: (stream) => respond(stream, { 'content-length': '0' }, []) },
  { name: 'head', method: 'HEAD', body: '', answer: (stream) => respond(stream, { 'content-length': '8' }, []) },
  { name: '304', status: 304, body: '', answer: (stream) => respond(stream, { ':status': 304 }, []) }
]

conformsEach(
  'proxy_h2_keepalive.t buffered and unbuffered, each twice',
  'the next request goes out on the same connection',
  MODES.flatMap((mode) => KINDS.map((kind) => ({ mode, kind }))),
  ({ mode, kind }) => `${kind.name} ${'prepare' in mode ? 'with an onSend hook' : 'without hooks'}`,
  async (t, { mode, kind: { method = 'GET', status = 200, body, answer } }) => {
    const target = await startHttp2Target(t, answer)
    const gateway = await startGateway(t, [target.url], { upstream: HTTP2, ...mode })

    for (let i = 0; i < 2; i++) {
      const reply = await send(gateway.port, { method })
      assert.deepEqual([reply.status, reply.body.toString()], [status, body])
    }

    assert.equal(target.opened(), 1)
  }
)

conforms(
  "proxy_h2_keepalive.t 'buffered closed 1', 'buffered closed 2', 'unbuffered closed 1', 'unbuffered closed 2'",
  'a connection that the target closes behind a response is not used again, and nobody notices',
  async (t) => {
    const target = await startHttp2Target(t, (stream) => {
      const { session } = stream
      stream.on('close', () => session?.close())
      respond(stream, {}, ['see this'])
    })
    const gateway = await startGateway(t, [target.url], { upstream: HTTP2 })

    for (let i = 0; i < 2; i++) {
      assert.equal((await send(gateway.port)).body.toString(), 'see this')
      await eventually(() => target.sessions.size === 0, 'the connection stays')
    }

    assert.equal(target.opened(), 2)
  }
)

conforms(
  "proxy_h2_method.t 'proxy_method from request'; grpc.t 'method get'",
  'the method goes out as it came',
  async (t) => {
    const methods: unknown[] = []
    const target = await startHttp2Target(t, (stream, fields) => {
      methods.push(fields[':method'])
      respond(stream, {}, [])
    })
    const gateway = await startGateway(t, [target.url], { upstream: HTTP2 })

    for (const method of ['GET', 'PUT', 'PURGE']) await send(gateway.port, { method })

    assert.deepEqual(methods, ['GET', 'PUT', 'PURGE'])
  }
)

conformsEach(
  "proxy_h2_next_upstream.t 'body 1', 'body 2', 'body 3'",
  'the next target gets the whole body',
  [192, 1_024, 10_240],
  (times) => `${times * 10} bytes`,
  async (t, times) => {
    const body = TEN.repeat(times)
    const received: string[] = []
    const targets = []
    for (const status of [503, 200]) {
      const { url } = await startHttp2Target(t, (stream) => {
        let text = ''
        stream.setEncoding('latin1').on('data', (chunk: string) => {
          text += chunk
        })
        stream.on('end', () => {
          received.push(text)
          respond(stream, { ':status': status }, [])
        })
      })
      targets.push(url)
    }
    const retry = { bodyLimit: '256kb', backoff: { base: 0 } }
    const gateway = await startGateway(t, targets, { upstream: { http2: true, retry } })

    const reply = await send(gateway.port, { method: 'PUT', headers: { 'transfer-encoding': 'chunked' } }, body)

    assert.equal(reply.status, 200)
    assert.deepEqual(received, [body, body])
  }
)

conformsEach(
  "proxy_h2_request_buffering.t 'no preread', 'preread', 'many', 'last' with 'body part' and 'response' of each; grpc_request_buffering.t",
  'a piece of a body is sent on before the next one comes',
  [true, false],
  (length) => (length ? 'with a length' : 'chunked'),
  async (t, length) => {
    let arrived = ''
    const target = await startHttp2Target(t, (stream) => {
      stream.setEncoding('latin1').on('data', (chunk: string) => {
        arrived += chunk
      })
      stream.on('end', () => respond(stream, {}, ['done']))
    })
    const gateway = await startGateway(t, [target.url], { upstream: HTTP2 })
    const client = new RawClient(t, gateway.port)
    const pieces = length ? ['01234', '56789'] : ['5\r\n01234\r\n', '5\r\n56789\r\n0\r\n\r\n']

    client.write(`PUT / HTTP/1.1\r\nHost: a\r\n${length ? 'Content-Length: 10' : 'Transfer-Encoding: chunked'}\r\n\r\n`)
    for (const [i, piece] of pieces.entries()) {
      client.write(piece)
      await eventually(() => arrived === TEN.slice(0, 5 * (i + 1)), `not sent on: ${piece}`)
    }

    await client.until('done')
  }
)

conforms("proxy_h2_ssl.t 'ssl'; grpc_ssl.t", 'TLS and HTTP/2 are agreed on in one handshake', async (t) => {
  const certificate = fixture<{ cert: string; key: string }>('localhost-tls.json')
  const target = await startHttp2Target(t, (stream) => respond(stream, {}, ['secret']), certificate)
  const gateway = await startGateway(t, [target.url], { upstream: { http2: true, tls: { ca: certificate.cert } } })

  assert.equal((await send(gateway.port)).body.toString(), 'secret')
})

function withTrailers(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200 }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'foo', 'x-another': 'bar' }))
  stream.end('see this')
}

conformsEach(
  "proxy_h2_trailers.t 'trailers', 'trailers nobuffering'; grpc_trailers.t 'trailers'",
  'trailers of HTTP/2 become trailers of a chunked body',
  MODES,
  (mode) => ('prepare' in mode ? 'with an onSend hook' : 'without hooks'),
  async (t, mode) => {
    const target = await startHttp2Target(t, withTrailers)
    const gateway = await startGateway(t, [target.url], { upstream: HTTP2, ...mode })

    const reply = await send(gateway.port, { headers: { te: 'trailers' } })

    assert.equal(reply.body.toString(), 'see this')
    assert.deepEqual(reply.trailers, ['x-trailer', 'foo', 'x-another', 'bar'])
  }
)

conforms(
  "proxy_h2_trailers.t 'h2 header', 'h2 data', 'h2 trailer', 'h2 trailer 2'; grpc_trailers.t 'h2 header', 'h2 data', 'h2 trailer', 'h2 trailer 2'",
  'trailers pass from HTTP/2 to HTTP/2',
  async (t) => {
    const target = await startHttp2Target(t, withTrailers)
    const gateway = await startHttp2Gateway(t, [target.url], { upstream: HTTP2 })

    const reply = await sendHttp2(gateway.connect(), { ':path': '/', te: 'trailers' })

    assert.deepEqual([reply.status, reply.body.toString()], [200, 'see this'])
    assert.deepEqual([reply.trailers['x-trailer'], reply.trailers['x-another']], ['foo', 'bar'])
  }
)

conforms(
  "grpc.t 'request - method' and the rest of 'request', 'response - status' and the rest of 'response', 'keepalive - connection reuse'; grpc_pass.t 'grpc scheme'",
  'a call of gRPC arrives with its fields, and comes back with its trailers, twice on one connection',
  async (t) => {
    const seen: SeenFields[] = []
    const target = await startHttp2Target(t, (stream, fields) => {
      seen.push(fields)
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': '' }))
      stream.resume().on('end', () => stream.end('Hello world'))
    })
    const gateway = await startHttp2Gateway(t, [target.url], { upstream: HTTP2 })
    const session = gateway.connect()
    const call = { ':method': 'POST', ':path': '/SayHello', 'content-type': 'application/grpc', te: 'trailers' }

    for (let i = 0; i < 2; i++) {
      const reply = await sendHttp2(session, { ...call, ':authority': 'api.test' }, 'Hello')

      assert.deepEqual([reply.status, reply.headers['content-type']], [200, 'application/grpc'])
      assert.equal(reply.body.toString(), 'Hello world')
      assert.deepEqual([reply.trailers['grpc-status'], reply.trailers['grpc-message']], ['0', ''])
    }

    const names = [':method', ':scheme', ':path', ':authority', 'content-type', 'te']
    const expected = ['POST', 'http', '/SayHello', 'api.test', 'application/grpc', 'trailers']
    for (const fields of seen)
      assert.deepEqual(
        names.map((name) => fields[name]),
        expected
      )
    assert.equal(target.opened(), 1)
  }
)

conforms(
  "grpc.t 'grpc error - HEADERS flags', 'grpc error - no DATA frame'",
  'an error of gRPC is fields alone',
  async (t) => {
    const target = await startHttp2Target(t, (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true })
    })
    const gateway = await startHttp2Gateway(t, [target.url], { upstream: HTTP2 })

    const reply = await sendHttp2(gateway.connect(), { ':method': 'POST', ':path': '/' }, 'Hello')

    assert.deepEqual([reply.status, reply.headers['grpc-status'], reply.body.length], [200, '12', 0])
  }
)

function respond(stream: ServerHttp2Stream, fields: Record<string, string | number>, pieces: readonly string[]): void {
  stream.respond({ ':status': 200, 'content-type': 'text/plain', ...fields })
  for (const piece of pieces) stream.write(piece)
  stream.end()
}
