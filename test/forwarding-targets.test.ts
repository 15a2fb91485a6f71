import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { always, assertError, send, startGateway, type UpstreamSketch, valuesOf } from './forwarding-helper.ts'
import { fixture, portOf, startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const certificate = fixture<{ cert: string; key: string }>('localhost-tls.json')

async function listen(t: TestContext, server: Server, at: { path: string } | { host: string; port: 0 }): Promise<void> {
  await new Promise<void>((resolve) => server.listen(at, resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
}

async function startTlsTarget(t: TestContext): Promise<number> {
  const server = createTlsServer(certificate, (_request, response) => response.end('secret'))
  await listen(t, server, { host: '127.0.0.1', port: 0 })
  return portOf(server)
}

test('a target on a unix socket is reached', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'target.sock')
  const server = createServer((request, response) => response.end(request.url))
  await listen(t, server, { path })
  const gateway = await startGateway(t, [`unix:${path}`])

  assert.equal((await send(gateway.port, { path: '/a?b' })).body.toString(), '/a?b')
})

test('a target with an IPv6 address is reached', async (t) => {
  const server = createServer((request, response) => response.end(request.headers.host))
  await listen(t, server, { host: '::1', port: 0 })
  const authority = `[::1]:${portOf(server)}`
  const gateway = await startGateway(t, [`http://${authority}`], { route: { rewrite: { host: 'target' } } })

  assert.equal((await send(gateway.port)).body.toString(), authority)
})

const tlsCases: { name: string; host: string; tls: NonNullable<UpstreamSketch['tls']>; status: number }[] = [
  { name: 'is verified by default, so a certificate nobody vouches for', host: 'localhost', tls: {}, status: 502 },
  { name: 'with verify: false takes any certificate', host: 'localhost', tls: { verify: false }, status: 200 },
  { name: 'with the ca given', host: 'localhost', tls: { ca: certificate.cert }, status: 200 },
  { name: 'with the ca given, by address', host: '127.0.0.1', tls: { ca: certificate.cert }, status: 200 },
  {
    name: 'with another servername than the certificate has',
    host: '127.0.0.1',
    tls: { ca: certificate.cert, servername: 'other.test' },
    status: 502
  },
  {
    name: 'with the servername of the certificate',
    host: '127.0.0.1',
    tls: { ca: certificate.cert, servername: 'localhost' },
    status: 200
  }
]

for (const { name, host, tls, status } of tlsCases) {
  test(`TLS to a target ${name}, gives ${status}`, async (t) => {
    const port = await startTlsTarget(t)
    const gateway = await startGateway(t, [`https://${host}:${port}`], { upstream: { tls } })

    // The second request meets a connection that stands, or resumes the session.
    for (let i = 0; i < 2; i++) {
      const reply = await send(gateway.port)

      if (status === 200) assert.deepEqual([reply.status, reply.body.toString()], [200, 'secret'])
      else assertError(reply, status, 'FST_GATEWAY_CONNECT_FAILED')
    }
    await gateway.idle()
  })
}

for (const [host, expected] of [
  ['preserve', 'gw.test'],
  ['target', undefined],
  ['literal.test:81', 'literal.test:81']
] as const) {
  test(`host: ${host} decides what the target is asked for, x-forwarded-host keeps what the client said`, async (t) => {
    const target = always(OK)
    const { url } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url], { route: { rewrite: { host } } })

    await send(gateway.port, { headers: { host: 'gw.test' } })

    const head = target.heads[0] ?? ''
    assert.deepEqual(valuesOf(head, 'host'), [expected ?? url.slice('http://'.length)])
    assert.deepEqual(valuesOf(head, 'x-forwarded-host'), ['gw.test'])
  })
}

for (const [trustedProxies, expected] of [
  [[], [['127.0.0.1'], ['http'], ['gw.test'], [], ['1.0 a, 1.1 fastify-gateway']]],
  [['127.0.0.1'], [['6.6.6.6, 127.0.0.1'], ['https'], ['a.test'], ['for=6.6.6.6'], ['1.0 a, 1.1 fastify-gateway']]]
] as const) {
  const who = trustedProxies.length === 0 ? 'a stranger are replaced' : 'a trusted proxy are kept and extended'

  test(`forwarding headers of ${who}`, async (t) => {
    const target = always(OK)
    const { url } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url], { options: { trustedProxies: [...trustedProxies] } })
    const headers = {
      host: 'gw.test',
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'a.test',
      forwarded: 'for=6.6.6.6',
      via: '1.0 a'
    }

    await send(gateway.port, { headers })

    const names = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded', 'via']
    assert.deepEqual(
      names.map((name) => valuesOf(target.heads[0] ?? '', name)),
      expected
    )
  })
}

test('the path and the query reach the target byte for byte', async (t) => {
  const target = always(OK)
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])
  const path = "/a%20b;v=1/%C3%a4'^|?x=%zz&y=a+b&&=?/"

  await send(gateway.port, { path })

  assert.equal(target.heads[0]?.split(' ')[1], path)
})

test('no user agent and no accept header is invented', async (t) => {
  const target = always(OK)
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])

  await send(gateway.port)

  assert.doesNotMatch(target.heads[0] ?? '', /^(user-agent|accept)/im)
})

test('requests are split between upstreams by weight, and a weight of 0 gets none', async (t) => {
  const seen = { a: 0, b: 0 }
  const start = async (name: 'a' | 'b') =>
    (
      await startTarget(t, (_request, response) => {
        seen[name]++
        response.end()
      })
    ).url
  const gateway = await startGateway(t, [await start('a')], {
    route: {
      upstream: [
        { upstream: 'users', weight: 1 },
        { upstream: 'next', weight: 0 }
      ]
    },
    more: { next: { targets: [await start('b')] } }
  })

  for (let i = 0; i < 10; i++) await send(gateway.port)

  assert.deepEqual(seen, { a: 10, b: 0 })
})
