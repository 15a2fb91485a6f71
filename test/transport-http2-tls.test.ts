import assert from 'node:assert/strict'
import { createServer as createHttpsServer } from 'node:https'
import { type TestContext, test } from 'node:test'
import {
  createServer as createTlsServer,
  type Server,
  type TlsOptions as ServerTlsOptions,
  type TLSSocket
} from 'node:tls'
import type { TlsOptions } from '../plugins/balancer/index.ts'
import { fixture, portOf } from './helper.ts'
import { exchange, startHttp2Target, startTransport, targetAt } from './http2-transport-helper.ts'

const certificate = fixture<{ cert: string; key: string }>('localhost-tls.json')
const trusted: TlsOptions = { verify: true, ca: certificate.cert }

/** A TLS target that agrees on HTTP/2, and answers with the scheme it was asked by. */
async function startSecure(t: TestContext, options: ServerTlsOptions = {}) {
  return startHttp2Target(
    t,
    (stream, fields) => {
      stream.respond()
      stream.end(fields[':scheme'])
    },
    { ...certificate, ...options }
  )
}

async function listen(t: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `https://localhost:${portOf(server)}`
}

test('https targets are spoken to over TLS, and on one session', async (t) => {
  const { url, opened } = await startSecure(t)
  const transport = startTransport(t, { tls: trusted })
  const address = targetAt(url)

  const recorders = await Promise.all([1, 2, 3].map(() => exchange(transport, address)))

  assert.deepEqual(
    recorders.map(({ body }) => body),
    ['https', 'https', 'https']
  )
  assert.equal(opened(), 1)
})

const cases: { name: string; tls: TlsOptions; reached: boolean }[] = [
  { name: 'whose certificate nobody vouches for', tls: { verify: true }, reached: false },
  { name: 'whose certificate is not to be verified', tls: { verify: false }, reached: true },
  { name: 'that has another name', tls: { ...trusted, servername: 'other.test' }, reached: false },
  { name: 'that has the given name', tls: { ...trusted, servername: 'localhost' }, reached: true }
]

for (const { name, tls, reached } of cases) {
  test(`a target ${name} is ${reached ? '' : 'not '}reached`, async (t) => {
    const { url } = await startSecure(t)

    const recorder = await exchange(startTransport(t, { tls }), targetAt(url))

    if (reached) assert.equal(recorder.head?.status, 200)
    else recorder.assertError('FST_GATEWAY_CONNECT_FAILED')
  })
}

test('a target that asks for a client certificate gets it', async (t) => {
  const { url } = await startSecure(t, { requestCert: true, ca: certificate.cert })
  const address = targetAt(url)

  const known = await exchange(startTransport(t, { tls: { ...trusted, ...certificate } }), address)
  const stranger = await exchange(startTransport(t, { tls: trusted }), address)

  assert.equal(known.head?.status, 200)
  stranger.assertError('FST_GATEWAY_CONNECT_FAILED')
})

test('a target that offers HTTP/1.1 only is not reached, and the cause says why', async (t) => {
  const server = createHttpsServer(certificate, (_request, response) => response.end())
  t.after(() => server.closeAllConnections())
  const url = await listen(t, server)

  const recorder = await exchange(startTransport(t, { tls: trusted }), targetAt(url))

  recorder.assertError('FST_GATEWAY_CONNECT_FAILED')
  assert.match(String(recorder.error?.cause), /application.protocol|ALPN/i)
})

test('a target that knows no ALPN is not reached, and the cause says why', async (t) => {
  const url = await listen(
    t,
    createTlsServer(certificate, (socket) => socket.on('error', () => {}))
  )

  const recorder = await exchange(startTransport(t, { tls: trusted }), targetAt(url))

  recorder.assertError('FST_GATEWAY_CONNECT_FAILED')
  assert.match(String(recorder.error?.cause), /did not agree on HTTP\/2/)
})

test('the second session of a target resumes the TLS session of the first', async (t) => {
  const resumed: boolean[] = []
  const { url, server, sessions } = await startSecure(t)
  server.on('secureConnection', (socket: TLSSocket) => resumed.push(socket.isSessionReused()))
  const transport = startTransport(t, { tls: trusted })
  const address = targetAt(url)

  await exchange(transport, address)
  for (const session of sessions) session.close()
  await exchange(transport, address)

  assert.deepEqual(resumed, [false, true])
})
