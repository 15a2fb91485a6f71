import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import proxy from '../plugins/proxy/index.ts'
import { always, RawClient, startGateway } from './forwarding-helper.ts'
import { freePort, portOf, startRawTarget } from './helper.ts'

/** A gateway in front of one target that answers each request with the same bytes; counts the connections it sees. */
async function start(
  t: TestContext,
  answer: string,
  prepare: (app: FastifyInstance) => void = () => {}
): Promise<{ app: FastifyInstance; connections: () => number }> {
  let connections = 0
  const { url } = await startRawTarget(t, (socket) => {
    connections++
    socket.on('data', () => socket.write(answer))
  })
  const app = Fastify()
  t.after(() => app.close())
  prepare(app)
  await app.register(proxy, { upstreams: { a: { targets: [url] } }, routes: [{ upstream: 'a' }] })
  return { app, connections: () => connections }
}

const cases = [
  { hint: '', expected: 1 },
  { hint: 'Keep-Alive: timeout=5\r\n', expected: 1 },
  { hint: 'Keep-Alive: timeout=1\r\n', expected: 2 },
  { hint: 'Connection: close\r\n', expected: 2 }
]

for (const { hint, expected } of cases) {
  test(`two requests in a row use ${expected} connection(s) after '${hint.trim()}'`, async (t) => {
    const { app, connections } = await start(t, `HTTP/1.1 200 OK\r\n${hint}Content-Length: 2\r\n\r\nok`)

    await app.inject('/')
    await app.inject('/')

    assert.equal(connections(), expected)
  })
}

test('what a hook and the target say in vary is joined', async (t) => {
  const answer = 'HTTP/1.1 200 OK\r\nVary: accept\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'
  const { app } = await start(t, answer, (own) => {
    own.addHook('onRequest', async (_request, reply) => void reply.header('vary', 'origin'))
    own.addHook('onSend', async (_request, _reply, payload) => payload)
  })

  const { headers } = await app.inject('/')

  assert.equal(headers.vary, 'origin, accept')
})

test('an empty transfer-encoding beside a content-length is a 400, and reaches no target', async (t) => {
  const { app, connections } = await start(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = connect(portOf(app.server), '127.0.0.1')
  t.after(() => client.destroy())

  client.write('POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\nok')
  const [data] = await once(client, 'data')

  assert.match(String(data), /^HTTP\/1\.1 400 /)
  assert.equal(connections(), 0)
})

const reversed = [
  {
    host: 'preserve',
    location: (_url: string) => 'http://site.test/v1/next?a=%20',
    expected: 'http://site.test/api/next?a=%20'
  },
  { host: 'target', location: (url: string) => `${url}/v1/next`, expected: 'http://site.test/api/next' },
  { host: 'preserve', location: (_url: string) => '/v1/next', expected: '/api/next' },
  { host: 'preserve', location: (_url: string) => 'http://other.test/v1/next', expected: 'http://other.test/v1/next' }
]

for (const { host, location, expected } of reversed) {
  test(`with rewrite.reverse and host ${host}, the client is sent to ${expected}`, async (t) => {
    const { url } = await startRawTarget(t, (socket) => {
      const cookie = 'Set-Cookie: a=1; Path=/v1; HttpOnly'
      socket.on('data', () => {
        socket.write(`HTTP/1.1 302 Found\r\nLocation: ${location(url)}\r\n${cookie}\r\nContent-Length: 0\r\n\r\n`)
      })
    })
    const app = Fastify()
    t.after(() => app.close())
    const rewrite = { prefix: '/v1', host, reverse: true }
    const routes = [{ match: { path: '/api/*' }, upstream: 'a', rewrite }]
    await app.register(proxy, { upstreams: { a: { targets: [url] } }, routes })

    const { headers } = await app.inject({ url: '/api/x', headers: { host: 'site.test' } })

    assert.equal(headers.location, expected)
    assert.equal(headers['set-cookie'], 'a=1; Path=/api; HttpOnly')
  })
}

test('a burst of failures beyond the retry budget is a 503 that names it', async (t) => {
  const { url } = await startRawTarget(t, (socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  const dead = { url: `http://127.0.0.1:${await freePort()}`, maxFails: 0 }
  const app = Fastify()
  t.after(() => app.close())
  const upstreams = { a: { targets: [dead, url], retry: { budget: 0 } } }
  await app.register(proxy, { upstreams, routes: [{ upstream: 'a' }] })

  const replies = await Promise.all(Array.from({ length: 100 }, () => app.inject('/')))

  const refused = replies.filter(({ statusCode }) => statusCode !== 200)
  assert.ok(refused.length > 0 && refused.length <= 40)
  for (const { body } of refused) assert.equal(JSON.parse(body).code, 'FST_GATEWAY_RETRY_BUDGET')
})

test('TRACE is a 405, and reaches no target', async (t) => {
  const { app, connections } = await start(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')

  const { statusCode, body } = await app.inject({ method: 'TRACE' as 'GET', url: '/' })

  assert.equal(statusCode, 405)
  assert.equal(JSON.parse(body).code, 'FST_GATEWAY_METHOD_NOT_ALLOWED')
  assert.equal(connections(), 0)
})

test('what came before a malformed chunk reaches the client, cut visibly, also when both came at once', async (t) => {
  const bad = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello, too long\r\n'
  const { url } = await startRawTarget(t, always(bad).onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')
  const text = await client.end()

  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.ok(text.includes('5\r\nhello\r\n'))
  assert.ok(!text.endsWith('0\r\n\r\n'))
})
