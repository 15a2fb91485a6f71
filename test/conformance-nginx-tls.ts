import assert from 'node:assert/strict'
import { createServer, type ServerOptions } from 'node:https'
import type { TestContext } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { assertError, send, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { fixture, portOf, startRawTarget } from './helper.ts'

interface Pair {
  cert: string
  key: string
}
const { ca, names, common, client, stranger } = fixture<{
  ca: string
  names: Pair
  common: Pair
  client: Pair
  stranger: Pair
}>('tls-names.json')

interface Seen {
  name: unknown
  reused: boolean
  subject: string | string[] | undefined
  authorized: boolean
  connection: number
}

/** A TLS target, and what it saw of each request's connection. */
async function startTlsTarget(t: TestContext, options: ServerOptions, body = 'secret') {
  const seen: Seen[] = []
  const sockets: TLSSocket[] = []
  const server = createServer(
    { requestCert: true, rejectUnauthorized: false, ca, ...options },
    ({ socket }, response) => {
      const tls = sockets.find(({ remotePort }) => remotePort === socket.remotePort)
      seen.push({
        name: tls?.servername,
        reused: tls?.isSessionReused() === true,
        subject: tls?.getPeerCertificate().subject?.CN,
        authorized: tls?.authorized === true,
        connection: sockets.length
      })
      response.end(body)
    }
  )
  server.on('secureConnection', (socket) => sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: portOf(server), server, seen }
}

async function over(t: TestContext, url: string, tls: NonNullable<UpstreamSketch['tls']>) {
  return startGateway(t, [url], { upstream: { tls } })
}

conformsEach(
  "proxy_ssl_verify.t 'verify', 'verify wildcard', 'verify fail', 'verify cn', 'verify cn fail', 'untrusted'",
  'a target must prove its name by a certificate that is trusted',
  [
    { pair: names, tls: { ca, servername: 'example.com' }, status: 200 },
    { pair: names, tls: { ca, servername: 'www.example.com' }, status: 200 },
    { pair: names, tls: { ca, servername: 'example.net' }, status: 502 },
    { pair: common, tls: { ca, servername: 'common.test' }, status: 200 },
    { pair: common, tls: { ca, servername: 'example.com' }, status: 502 },
    { pair: names, tls: { servername: 'example.com' }, status: 502 }
  ],
  ({ tls, status }) => `${tls.servername} ${status}`,
  async (t, { pair, tls, status }) => {
    const target = await startTlsTarget(t, pair)
    const gateway = await over(t, `https://localhost:${target.port}`, tls)

    const reply = await send(gateway.port)

    if (status === 200) assert.equal(reply.body.toString(), 'secret')
    else assertError(reply, status, 'FST_GATEWAY_CONNECT_FAILED')
  }
)

conformsEach(
  "proxy_ssl_name.t 'name 1', 'name 2', 'default', 'default again', 'no port in name', 'no ip'",
  'the name that is asked for is the one configured, else that of the target; an address is none',
  [
    { host: 'localhost', tls: { verify: false, servername: '1.example.com' }, name: '1.example.com' },
    { host: 'localhost', tls: { verify: false }, name: 'localhost' },
    { host: '127.0.0.1', tls: { verify: false }, name: false }
  ],
  ({ host, name }) => `${host}: ${name}`,
  async (t, { host, tls, name }) => {
    const target = await startTlsTarget(t, names)
    if (host === '127.0.0.1') {
      await new Promise<void>((resolve) => target.server.close(() => resolve()))
      await new Promise<void>((resolve) => target.server.listen(target.port, host, resolve))
    }
    const gateway = await over(t, `https://${host}:${target.port}`, tls)

    assert.equal((await send(gateway.port)).status, 200)
    assert.deepEqual(
      target.seen.map((one) => one.name),
      [name]
    )
  }
)

conformsEach(
  "proxy_ssl_certificate.t 'verify certificate', 'fail certificate', 'valid certificate', 'invalid certificate'; proxy_ssl_certificate_empty.t 'cancel certificate'",
  'the client certificate of the upstream is shown, and no other',
  [
    { tls: { verify: false, ...client }, subject: '1.example.com', authorized: true },
    { tls: { verify: false, ...stranger }, subject: 'stranger', authorized: false },
    { tls: { verify: false }, subject: undefined, authorized: false }
  ],
  ({ subject }) => String(subject),
  async (t, { tls, subject, authorized }) => {
    const target = await startTlsTarget(t, names)
    const gateway = await over(t, `https://localhost:${target.port}`, tls)

    await send(gateway.port)

    assert.deepEqual(
      target.seen.map((one) => [one.subject, one.authorized]),
      [[subject, authorized]]
    )
  }
)

conforms(
  "proxy_ssl_keepalive.t 'first', 'second'; proxy_ssl.t 'ssl', 'ssl 2'",
  'a TLS connection is kept for the next request',
  async (t) => {
    const target = await startTlsTarget(t, names)
    const gateway = await over(t, `https://localhost:${target.port}`, { verify: false })

    for (let i = 0; i < 3; i++) {
      assert.equal((await send(gateway.port)).body.toString(), 'secret')
      await gateway.idle()
    }

    assert.deepEqual(
      target.seen.map(({ connection }) => connection),
      [1, 1, 1]
    )
  }
)

conforms(
  "proxy_ssl_keepalive.t 'close'; proxy_ssl.t 'ssl session new', 'ssl session reused', 'ssl session reused 2'",
  'the next connection resumes the session of the one before',
  async (t) => {
    const target = await startTlsTarget(t, names)
    const gateway = await over(t, `https://localhost:${target.port}`, { verify: false })

    for (let i = 0; i < 3; i++) {
      await send(gateway.port)
      await gateway.idle()
      target.server.closeAllConnections()
    }

    assert.deepEqual(
      target.seen.map(({ connection, reused }) => [connection, reused]),
      [
        [1, false],
        [2, true],
        [3, true]
      ]
    )
  }
)

conforms(
  "proxy_ssl.t 'proxy handshake timeout'",
  'a handshake that does not come about in time is a 504',
  async (t) => {
    const target = await startRawTarget(t, () => {})
    const timeouts = { connect: 50, response: 0, idle: 0, total: 0 }
    const gateway = await startGateway(t, [target.url.replace('http:', 'https:')], { upstream: { timeouts } })

    assertError(await send(gateway.port), 504, 'FST_GATEWAY_CONNECT_TIMEOUT')
  }
)

conforms("proxy_ssl.t 'big length'", 'a large body arrives whole over TLS', async (t) => {
  const target = await startTlsTarget(t, names, 'X'.repeat(720_000))
  const gateway = await over(t, `https://localhost:${target.port}`, { verify: false })

  assert.equal((await send(gateway.port)).body.length, 720_000)
})

differs(
  "proxy_ssl_name.t 'no name'",
  'the name of the target is always asked for',
  'there is no switch: servers that cannot do without it are many, those that cannot do with it are not',
  async (t) => {
    const target = await startTlsTarget(t, names)
    const gateway = await over(t, `https://localhost:${target.port}`, { verify: false })

    await send(gateway.port)

    assert.deepEqual(
      target.seen.map((one) => one.name),
      ['localhost']
    )
  }
)
