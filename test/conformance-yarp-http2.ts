import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { assertError, pick, RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'
import { readReply, sendHttp2, startHttp2Gateway } from './http2-helper.ts'
import { startHttp2Target } from './http2-transport-helper.ts'
import { startRecordingTarget, unframed } from './recording-target.ts'
import { asking } from './upgrade-helper.ts'

conforms(
  'HttpProxyCookieTests_Http2.ProxyAsync_RequestWithCookieHeaders',
  'cookies that come in two fields of HTTP/2 arrive as one, in order',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url])

    await sendHttp2(gateway.connect(), { ':path': '/', cookie: ['testB=1', 'testA=2'] })

    assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'cookie'), ['testB=1; testA=2'])
  }
)

conforms(
  'HttpForwarderTests.RequestWithBodies_WithoutContentLength',
  'a body of HTTP/2 without a length goes out in chunks',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url])

    await sendHttp2(gateway.connect(), { ':method': 'POST', ':path': '/' }, 'request content')

    const [request] = target.requests
    assert.deepEqual(valuesOf(request?.head ?? '', 'transfer-encoding'), ['chunked'])
    assert.equal(request && unframed(request), 'request content')
  }
)

conforms(
  'HttpForwarderCancellationTests.ServerSendsHttp2Reset_ReadToClientIsCanceled',
  'an endless upload stops once its answer is complete and the target wants no more',
  async (t) => {
    const target = await startRawTarget(t, (socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nHello'))
    })
    const gateway = await startHttp2Gateway(t, [target.url])
    const stream = gateway.connect().request({ ':method': 'POST', ':path': '/' })
    const pump = () => {
      while (!stream.destroyed && stream.write(Buffer.alloc(1024, 'x')));
    }
    stream.on('drain', pump)
    pump()

    const reply = await readReply(stream)

    assert.deepEqual([reply.status, reply.body.toString(), reply.code], [200, 'Hello', 0])
    await gateway.idle()
  }
)

conforms(
  'HttpForwarderTests.NormalRequest_Works (:authority)',
  'the :authority of HTTP/2 becomes the Host, and no pseudo-header is forwarded',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url])

    await sendHttp2(gateway.connect(), { ':path': '/api?a', ':authority': 'name.test:3456', 'x-request': '1' })

    const head = target.requests[0]?.head ?? ''
    assert.match(head, /^GET \/api\?a HTTP\/1\.1\r\nhost: name\.test:3456\r\n/)
    assert.doesNotMatch(head, /^:/m)
  }
)

const RESTRICTED = [
  ...['Connection', 'Transfer-Encoding', 'Keep-Alive', 'Upgrade', 'Proxy-Connection', 'Proxy-Authenticate'],
  ...['Proxy-Authentication-Info', 'Proxy-Authorization', 'HTTP2-Settings', 'TE']
]

conformsEach(
  'HttpTransformerTests.TransformResponseTrailersAsync_RemovesRestrictedHeaders',
  'a trailer that only a header may be does not reach the client',
  [...RESTRICTED.filter((name) => name !== 'Transfer-Encoding'), 'Host', 'X-Forwarded-For'],
  (name) => name,
  async (t, name) => {
    const answer = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${name}: 1\r\nX-Kept: 2\r\n\r\n`
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url])

    const { trailers } = await send(gateway.port)

    assert.deepEqual(trailers, ['X-Kept', '2'])
  }
)

differs(
  'HttpTransformerTests.TransformResponseTrailersAsync_RemovesRestrictedHeaders (Content-Length, Transfer-Encoding)',
  'a response whose trailers say where a body ends is malformed',
  'the strict parser of Node.js takes none either, and whatever it refuses is refused',
  async (t) => {
    for (const field of ['Content-Length: 1', 'Transfer-Encoding: chunked']) {
      const answer = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${field}\r\n\r\n`
      const target = await startRecordingTarget(t, answer)
      const gateway = await startGateway(t, [target.url])

      assertError(await send(gateway.port), 502, 'FST_GATEWAY_BAD_RESPONSE')
    }
  }
)

differs(
  'HttpTransformerTests.TransformResponseTrailersAsync_RemovesRestrictedHeaders (Proxy-Features and others)',
  'trailers with names that no RFC in force gives to the connection pass',
  'as with headers of these names',
  async (t) => {
    const names = ['Proxy-Features', 'Proxy-Instruction', 'Security-Scheme', 'ALPN', 'Close', 'Alt-Svc']
    const lines = [...names, 'Upgrade-Insecure-Requests'].map((name) => `${name}: 1\r\n`).join('')
    const target = await startRecordingTarget(
      t,
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${lines}\r\n`
    )
    const gateway = await startGateway(t, [target.url])

    const { trailers } = await send(gateway.port)

    assert.equal(trailers.length, 2 * (names.length + 1))
  }
)

conforms(
  'HttpForwarderCancellationTests.ServerSendsHttp2Reset_ReadToClientIsCanceled (HTTP/2 to the target)',
  'the same holds where the target resets its stream without an error',
  async (t) => {
    const target = await startHttp2Target(t, (stream) => {
      stream.respond({ ':status': 200 })
      stream.end('Hello', () => stream.close(0))
    })
    const gateway = await startHttp2Gateway(t, [target.url], { upstream: { http2: true } })
    const stream = gateway.connect().request({ ':method': 'POST', ':path': '/' })
    stream.write('the beginning')

    const reply = await readReply(stream)

    assert.deepEqual([reply.status, reply.body.toString(), reply.code], [200, 'Hello', 0])
    await gateway.idle()
  }
)

differs(
  'WebSocketTests.WebSocket11_To_20, WebSocketFallbackFromH2, WebSocketCantFallbackFromH2',
  'an upgrade at an upstream that speaks HTTP/2 is a 501, and the target is not asked',
  'HTTP/2 has no Upgrade, and a target is asked in one version; give such routes an upstream without `http2`',
  async (t) => {
    const target = await startHttp2Target(t, (stream) => stream.respond({ ':status': 200 }, { endStream: true }))
    const gateway = await startGateway(t, [target.url], { upstream: { http2: true } })
    const client = new RawClient(t, gateway.port)

    client.write(asking('websocket'))

    assert.match(await client.until('FST_GATEWAY_UPGRADE_UNSUPPORTED'), /^HTTP\/1\.1 501 /)
    assert.equal(target.opened(), 0)
  }
)

differs(
  'WebSocketTests.WebSocket20_To_20, WebSocket20_To_11',
  'a WebSocket over HTTP/2 is refused',
  'HTTP/2 has no Upgrade; the extended CONNECT of RFC 8441 is not offered, so clients use HTTP/1.1',
  async (t) => {
    const target = await startTarget(t, (_request, response) => response.end())
    const gateway = await startHttp2Gateway(t, [target.url])
    const session = gateway.connect()
    await new Promise((resolve) => session.once('remoteSettings', resolve))

    const reply = await sendHttp2(session, { ':method': 'CONNECT', ':authority': 'gw.test' })

    assert.notEqual(session.remoteSettings.enableConnectProtocol, true)
    assert.equal(reply.status, 405)
  }
)

conforms(
  'HttpForwarderTests.NormalRequestWithTransforms_Works (HTTP/2)',
  'a response keeps its status over HTTP/2, and loses its reason',
  async (t) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 234 Odd\r\nx-response: 1\r\ncontent-length: 0\r\n\r\n')
    const gateway = await startHttp2Gateway(t, [target.url])

    const { status, headers } = await sendHttp2(gateway.connect(), { ':path': '/' })

    assert.deepEqual([status, headers['x-response']], [234, '1'])
    assert.deepEqual(pick(Object.entries(headers).flat().map(String), 'connection'), [])
  }
)
