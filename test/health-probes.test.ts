import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Target } from '../plugins/balancer/index.ts'
import { type GatewayOptions, parseOptions } from '../plugins/config/index.ts'
import { createProbe } from '../plugins/health/probes/index.ts'
import { eventually } from './forwarding-helper.ts'
import { fixture, freePort, portOf, startRawTarget, startTarget } from './helper.ts'
import { startHttp2Target } from './http2-transport-helper.ts'

type Upstream = NonNullable<GatewayOptions['upstreams']>[string]
type Rules = NonNullable<NonNullable<Upstream['health']>['active']>

const certificate = fixture<{ cert: string; key: string }>('localhost-tls.json')
const trusted = { tls: { ca: certificate.cert } }

/** What one check of a target finds: why it failed, or `fine`. */
function check(url: string, active: Rules, more: Omit<Upstream, 'health' | 'targets'> = {}): Promise<string> {
  const { users } = parseOptions({ upstreams: { users: { ...more, health: { active } } } }).upstreams
  assert.ok(users?.health.active !== undefined)
  const probe = createProbe(users.health.active, users)
  return new Promise((resolve) => {
    probe(new Target({ url }), (failure) => resolve(failure ?? 'fine'))
  })
}

/** A target that answers with a status and a body, and keeps what it was asked. */
async function startAnswering(t: TestContext, status: number, body = '') {
  const asked: IncomingMessage[] = []
  const { url, sockets } = await startTarget(t, (request, response) => {
    asked.push(request)
    response.writeHead(status, { location: '/elsewhere' }).end(body)
  })
  return { url, asked, sockets }
}

test('a check asks for the path with its query, by the method and with the headers that it is told', async (t) => {
  const { url, asked } = await startAnswering(t, 200)

  await check(url, { path: '/health?full=1', method: 'head', headers: { Host: 'api.internal', 'X-Token': 'abc' } })
  await check(url, { path: '/' })

  const [first, second] = asked
  assert.deepEqual([first?.method, first?.url], ['HEAD', '/health?full=1'])
  assert.equal(first?.headers.host, 'api.internal')
  assert.equal(first?.headers['x-token'], 'abc')
  assert.equal(first?.headers['user-agent'], 'fastify-gateway-health')
  assert.deepEqual([second?.method, second?.url], ['GET', '/'])
  assert.equal(second?.headers.host, url.slice('http://'.length))
})

const statuses: [number, string[] | undefined, string][] = [
  [200, undefined, 'fine'],
  [204, undefined, 'fine'],
  [399, undefined, 'fine'],
  [400, undefined, 'status 400'],
  [404, undefined, 'status 404'],
  [503, undefined, 'status 503'],
  [302, ['200-299'], 'status 302'],
  [404, ['200-299', '404'], 'fine'],
  [200, ['404'], 'status 200']
]

for (const [status, ranges, found] of statuses) {
  test(`status ${status} is ${found === 'fine' ? '' : 'not '}good for ${ranges?.join(', ') ?? 'what is expected by default'}`, async (t) => {
    const { url } = await startAnswering(t, status)

    const result = await check(url, ranges === undefined ? { path: '/' } : { path: '/', status: ranges })

    assert.equal(result, found)
  })
}

test('a redirect is not followed: its status is judged', async (t) => {
  // Source: Traefik, TestServiceHealthChecker_checkHealthHTTP_NotFollowingRedirects.
  const { url, asked } = await startAnswering(t, 302)

  assert.equal(await check(url, { path: '/health' }), 'fine')
  assert.equal(await check(url, { path: '/health', status: [200] }), 'status 302')
  assert.deepEqual(
    asked.map((request) => request.url),
    ['/health', '/health']
  )
})

test('the body must contain a text, within its beginning', async (t) => {
  const { url } = await startAnswering(t, 200, `${'.'.repeat(100)}all is well`)

  assert.equal(await check(url, { path: '/', body: 'is well' }), 'fine')
  assert.equal(await check(url, { path: '/', body: 'is bad' }), 'the body does not match')
  assert.equal(await check(url, { path: '/', body: 'is well', bodyLimit: 111 }), 'fine')
  assert.equal(await check(url, { path: '/', body: 'is well', bodyLimit: 110 }), 'the body does not match')
})

test('the body must be matched by a regular expression', async (t) => {
  const { url } = await startAnswering(t, 200, '{"status":"UP"}')

  assert.equal(await check(url, { path: '/', body: { regex: '"status":\\s*"(UP|WARN)"' } }), 'fine')
  assert.equal(await check(url, { path: '/', body: { regex: '^UP' } }), 'the body does not match')
})

test('a body without end is judged by its beginning', async (t) => {
  const { url, sockets } = await startTarget(t, (_request, response) => {
    const go = () => {
      while (!response.destroyed && response.write('a'.repeat(64 * 1024)));
    }
    response.on('drain', go)
    go()
  })

  assert.equal(await check(url, { path: '/', body: 'aaa' }), 'fine')
  await eventually(() => sockets.size === 0, 'the connection stays')
})

test('an answer that is cut off, none at all, and one that is none have failed', async (t) => {
  const switched = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
  const untilClose = 'HTTP/1.1 200 OK\r\n\r\nall of it'
  const answers = ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', '', 'hello\r\n\r\n', switched, untilClose]
  const { url } = await startRawTarget(t, (socket) => {
    socket.once('data', () => socket.end(answers.shift() ?? ''))
  })

  assert.equal(await check(url, { path: '/' }), 'the response was cut off')
  assert.match(await check(url, { path: '/' }), /^ECONNRESET/)
  assert.match(await check(url, { path: '/' }), /^HPE_/)
  assert.notEqual(await check(url, { path: '/', timeout: '1h' }), 'fine')
  assert.equal(await check(url, { path: '/', body: 'all of it' }), 'fine')
})

test('what cannot be reached has failed', async () => {
  const url = `http://127.0.0.1:${await freePort()}`

  assert.match(await check(url, { path: '/' }), /ECONNREFUSED/)
  assert.match(await check(url, { type: 'tcp' }), /ECONNREFUSED/)
  assert.match(await check(url, { type: 'grpc' }), /ECONNREFUSED/)
  assert.match(await check(url, { path: '/' }, { http2: true }), /ECONNREFUSED/)
})

test('checks go to a port of their own', async (t) => {
  const { url, asked } = await startAnswering(t, 200)
  const port = Number(new URL(url).port)
  const other = `http://127.0.0.1:${await freePort()}`

  assert.equal(await check(other, { path: '/', port }), 'fine')
  assert.equal(await check(other, { type: 'tcp', port }), 'fine')
  assert.equal(asked[0]?.headers.host, `127.0.0.1:${port}`)
})

test('unix sockets are checked, whatever port there is for others', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-health-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'api.sock')
  const hosts: unknown[] = []
  const server = createServer((request, response) => {
    hosts.push(request.headers.host)
    response.end()
  }).listen(path)
  t.after(() => server.close())
  await once(server, 'listening')

  assert.equal(await check(`unix:${path}`, { path: '/', port: 1 }), 'fine')
  assert.equal(await check(`unix:${path}`, { type: 'tcp' }), 'fine')
  assert.match(await check(`unix:${path}x`, { type: 'tcp' }), /ENOENT/)
  assert.deepEqual(hosts, ['localhost'])
})

test('connections are closed after each check, and when it is cancelled', async (t) => {
  const { url, sockets } = await startTarget(t, (request, response) => {
    if (request.url !== '/silent') response.end('fine')
  })
  const { users } = parseOptions({ upstreams: { users: { health: { active: { path: '/silent' } } } } }).upstreams
  assert.ok(users?.health.active !== undefined)
  const silent = createProbe(users.health.active, users)

  await check(url, { path: '/' })
  await check(url, { type: 'tcp' })
  const results: (string | undefined)[] = []
  const cancel = silent(new Target({ url }), (failure) => results.push(failure))
  await eventually(() => sockets.size === 1, 'not connected')
  cancel()
  cancel()

  await eventually(() => sockets.size === 0, 'a connection stays')
  assert.deepEqual(results, ['cancelled'])
})

test('TLS is done by the rules of the upstream', async (t) => {
  const server = createHttpsServer(certificate, (_request, response) => response.end()).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const url = `https://localhost:${portOf(server)}`

  assert.equal(await check(url, { path: '/' }, trusted), 'fine')
  assert.equal(await check(url, { path: '/' }, { tls: { verify: false } }), 'fine')
  assert.match(await check(url, { path: '/' }), /self-signed|SELF_SIGNED/i)
  assert.match(await check(url, { path: '/' }, { tls: { ...trusted.tls, servername: 'other.test' } }), /ALTNAME/)
  assert.equal(await check(url, { type: 'tcp' }), 'fine')
  assert.notEqual(await check(url, { path: '/' }, { ...trusted, http2: true }), 'fine')
})

for (const scheme of ['http', 'https']) {
  test(`targets with HTTP/2 are asked by HTTP/2 over ${scheme}`, async (t) => {
    const asked: Record<string, unknown>[] = []
    const { url } = await startHttp2Target(
      t,
      (stream, fields) => {
        asked.push({ ...fields })
        stream.respond({ ':status': fields[':path'] === '/bad' ? 503 : 200 })
        stream.end('all is well')
      },
      scheme === 'https' ? certificate : undefined
    )
    const upstream = { ...trusted, http2: true }

    assert.equal(
      await check(url, { path: '/good?a=b', body: 'is well', headers: { 'x-token': 'abc' } }, upstream),
      'fine'
    )
    assert.equal(await check(url, { path: '/good', method: 'HEAD' }, upstream), 'fine')
    assert.equal(await check(url, { path: '/bad', headers: { host: 'api.internal' } }, upstream), 'status 503')
    const [good, , bad] = asked
    assert.equal(good?.[':path'], '/good?a=b')
    assert.equal(good?.['x-token'], 'abc')
    assert.equal(good?.[':scheme'], scheme)
    assert.equal(good?.[':authority'], new URL(url).host)
    assert.equal(bad?.[':authority'], 'api.internal')
  })
}

test('a stream that is reset has failed, and a connection that is closed, and one that speaks something else', async (t) => {
  const sockets = new Set<Socket>()
  const { url, server } = await startHttp2Target(t, (stream, fields) => {
    if (fields[':path'] === '/reset') stream.close(2)
    else if (fields[':path'] === '/half') {
      stream.respond({ 'content-length': '10' })
      stream.write('half', () => stream.close(8))
    } else if (fields[':path'] === '/vanish') {
      stream.respond()
      stream.write('half', () => setImmediate(() => sockets.forEach((socket) => void socket.destroy())))
    } else stream.session?.destroy()
  })
  server.on('connection', (socket: Socket) => void sockets.add(socket))
  const { url: other } = await startAnswering(t, 200)

  assert.match(await check(url, { path: '/reset' }, { http2: true }), /INTERNAL_ERROR|code 2/)
  assert.match(await check(url, { path: '/half' }, { http2: true }), /ERR_HTTP2_STREAM_ERROR|code \d|cut off/)
  assert.notEqual(await check(url, { path: '/vanish' }, { http2: true }), 'fine')
  assert.notEqual(await check(url, { path: '/gone' }, { http2: true }), 'fine')
  assert.notEqual(await check(other, { path: '/' }, { http2: true }), 'fine')
})
