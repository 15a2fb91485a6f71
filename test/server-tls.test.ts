import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { runGateway } from './app-process-helper.ts'
import { RawClient } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { certificate, connectHttp2, sendHttp2 } from './http2-helper.ts'
import { startServer } from './server-helper.ts'

const { cert, key } = certificate

/** Connects with these options; resolves with the socket, or with the code of what went wrong. */
async function handshake(t: TestContext, port: number, options: ConnectionOptions): Promise<TLSSocket | string> {
  const socket = connect({ port, host: '127.0.0.1', ca: cert, ...options })
  t.after(() => socket.destroy())
  try {
    await once(socket, 'secureConnect')
    return socket
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'none'
  }
}

/** A gateway with TLS before a target that tells how a request came. */
async function startSecure(t: TestContext, server: object = {}) {
  const { url } = await startTarget(t, ({ headers }, response) => {
    response.end(`${headers.via} ${headers['x-forwarded-proto']}`)
  })
  return startServer(t, [url], { server: { tls: { cert, key }, ...server } })
}

for (const [ALPNProtocols, agreed] of [
  [['h2', 'http/1.1'], 'h2'],
  [['http/1.1', 'h2'], 'h2'],
  [['http/1.1'], 'http/1.1'],
  [[], false]
] as const) {
  test(`a client that offers ${ALPNProtocols.join(', ') || 'no protocol'} speaks ${agreed || 'HTTP/1.1'}`, async (t) => {
    const { port } = await startSecure(t)
    const socket = await handshake(t, port, { ALPNProtocols: [...ALPNProtocols] })
    assert.ok(typeof socket !== 'string')

    if (agreed === 'h2') {
      assert.equal(socket.alpnProtocol, agreed)
      return
    }
    socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    const [answer] = await once(socket, 'data')

    assert.equal(socket.alpnProtocol, agreed)
    assert.match(String(answer), /^HTTP\/1\.1 200 OK\r\n/)
  })
}

test('a request over TLS and HTTP/2 is answered, and its target told of TLS', async (t) => {
  const { port } = await startSecure(t)
  const session = connectHttp2(port, true)
  t.after(() => session.destroy())

  const { status, body } = await sendHttp2(session, { ':path': '/' })

  assert.equal(status, 200)
  assert.equal(String(body), '2 fastify-gateway https')
})

test('a client that knows neither protocol is refused in the handshake (RFC 7301, section 3.2)', async (t) => {
  const { port } = await startSecure(t)

  assert.equal(await handshake(t, port, { ALPNProtocols: ['imap'] }), 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
})

test('without server.http2, HTTP/1.1 is all there is', async (t) => {
  const { port } = await startSecure(t, { http2: false })

  const socket = await handshake(t, port, { ALPNProtocols: ['h2', 'http/1.1'] })

  assert.ok(typeof socket !== 'string')
  assert.equal(socket.alpnProtocol, 'http/1.1')
})

test('minVersion refuses what is older', async (t) => {
  const { port } = await startSecure(t, { tls: { cert, key, minVersion: 'TLSv1.3' } })

  const [older, newer] = await Promise.all([
    handshake(t, port, { maxVersion: 'TLSv1.2' }),
    handshake(t, port, { minVersion: 'TLSv1.3' })
  ])

  assert.equal(older, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  assert.ok(typeof newer !== 'string')
})

test('with a ca, a client without a certificate gets nothing, one with a certificate its answer', async (t) => {
  const { port } = await startSecure(t, { tls: { cert, key, ca: cert } })
  const stranger = await handshake(t, port, { maxVersion: 'TLSv1.2' })
  const known = await handshake(t, port, { cert, key })
  assert.ok(typeof known !== 'string')

  known.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  const [answer] = await once(known, 'data')

  assert.ok(typeof stranger === 'string')
  assert.match(String(answer), /^HTTP\/1\.1 200 OK\r\n/)
})

test('a client that does not finish its handshake is cut off after headersTimeout', async (t) => {
  const { port } = await startSecure(t, { headersTimeout: '50ms' })
  const client = new RawClient(t, port)

  client.write('\x16\x03\x01')

  await client.end()
})

test('GATEWAY_TLS_CERT and GATEWAY_TLS_KEY make the stand-alone gateway speak TLS, and it stops in peace', async (t) => {
  const { url } = await startTarget(t, ({ headers }, response) => response.end(headers.via))
  const gateway = runGateway(
    t,
    { GATEWAY_PORT: '0', GATEWAY_TARGETS: url, GATEWAY_TLS_CERT: 'own.crt', GATEWAY_TLS_KEY: key },
    { 'own.crt': cert }
  )
  const base = await gateway.listening()
  const session = connectHttp2(Number(new URL(base).port), true)
  t.after(() => session.destroy())
  const { body } = await sendHttp2(session, { ':path': '/' })

  gateway.child.kill('SIGTERM')
  const [end] = await Promise.all([gateway.ended(), once(session, 'close')])

  assert.match(base, /^https:/)
  assert.equal(String(body), '2 fastify-gateway')
  assert.equal(end.code, 0)
  assert.equal(end.stderr, '')
})

test('a connection that stands, but is silent, does not keep the server from closing', async (t) => {
  const { app, port } = await startSecure(t)
  const socket = await handshake(t, port, {})
  assert.ok(typeof socket !== 'string')
  socket.resume()

  await Promise.all([app.close(), once(socket, 'close')])
})
