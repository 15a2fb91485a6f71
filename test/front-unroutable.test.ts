import assert from 'node:assert/strict'
import { connect as connectHttp2 } from 'node:http2'
import { test } from 'node:test'
import Fastify from 'fastify'
import proxy from '../plugins/proxy/index.ts'
import { always, assertError, eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { portOf, startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const CONNECT = 'CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n'

test('CONNECT is refused with 405, and nothing sent behind it is taken for a request', async (t) => {
  const target = always(OK)
  const gateway = await startGateway(t, [(await startRawTarget(t, target.onSocket)).url])
  const client = new RawClient(t, gateway.port)

  client.write(`${CONNECT}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`)
  const text = await client.end()

  assert.match(text, /^HTTP\/1\.1 405 Method Not Allowed\r\nallow: GET, /)
  assert.match(text, /^connection: close\r$/m)
  assert.match(text, /"code":"FST_GATEWAY_METHOD_NOT_ALLOWED".*"message":"Method CONNECT is not allowed"\}$/)
  assert.equal(client.closed, 'end')
  assert.deepEqual(target.heads, [])
})

test('CONNECT waits for the answers of requests that were sent before it', async (t) => {
  const answers: Array<() => void> = []
  const target = await startTarget(t, (_request, response) => answers.push(() => response.end('answer')))
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${CONNECT}`)
  await eventually(() => answers.length === 1, 'nothing arrives')
  assert.equal(client.text, '')
  answers[0]?.()

  assert.match(await client.end(), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nanswerHTTP\/1\.1 405 /)
})

test('a client that resets after CONNECT does no harm', async (t) => {
  const target = await startTarget(t, (_request, response) => response.end('answer'))
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)
  client.write(`GET /slow HTTP/1.1\r\nHost: a\r\n\r\n${CONNECT}`)
  client.socket.once('data', () => client.socket.resetAndDestroy())
  await eventually(() => client.socket.destroyed, 'no answer')

  const { status } = await send(gateway.port)

  assert.equal(status, 200)
})

test('CONNECT over HTTP/2 is refused for its stream alone', async (t) => {
  const target = await startTarget(t, (_request, response) => response.end('answer'))
  const app = Fastify({ http2: true })
  await app.register(proxy, {
    upstreams: { users: { targets: [target.url] } },
    routes: [{ id: 'all', match: { path: '/*' }, upstream: 'users' }]
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = connectHttp2(`http://127.0.0.1:${portOf(app.server)}`)
  t.after(() => {
    client.destroy()
    return app.close()
  })

  const refused = client.request({ ':method': 'CONNECT', ':authority': 'b:443' })
  const [status, allow] = await new Promise<unknown[]>((resolve) =>
    refused.on('response', (headers) => resolve([headers[':status'], headers.allow]))
  )

  assert.equal(status, 405)
  assert.match(String(allow), /^GET, /)
  assert.equal(client.destroyed, false)
})

test('who looks after CONNECT and expectations otherwise is left to it', async (t) => {
  const gateway = await startGateway(t, ['http://127.0.0.1:1'], {
    prepare: (app) => {
      app.server.on('connect', (_request, socket) => socket.end('HTTP/1.1 200 Tunnel\r\n\r\n'))
      app.server.on('checkExpectation', (_request, response) => response.writeHead(299).end())
    }
  })
  const client = new RawClient(t, gateway.port)

  client.write(CONNECT)
  const { status } = await send(gateway.port, { headers: { expect: 'more' } })

  assert.equal(await client.end(), 'HTTP/1.1 200 Tunnel\r\n\r\n')
  assert.equal(status, 299)
})

for (const expect of ['200-ok', '100-continue, more', 'x 100-continue', '100-continued']) {
  test(`the expectation '${expect}' is a 417`, async (t) => {
    const target = always(OK)
    const gateway = await startGateway(t, [(await startRawTarget(t, target.onSocket)).url])

    const reply = await send(gateway.port, { headers: { expect } })

    assertError(reply, 417, 'FST_GATEWAY_EXPECTATION_FAILED')
    assert.deepEqual(target.heads, [])
  })
}

test('an expectation in HTTP/1.0 is ignored', async (t) => {
  const target = always(OK)
  const gateway = await startGateway(t, [(await startRawTarget(t, target.onSocket)).url])
  const client = new RawClient(t, gateway.port)

  client.write('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab')

  assert.match(await client.end(), /^HTTP\/1\.1 200 /)
  assert.doesNotMatch(target.heads[0] ?? '', /expect/i)
})

test('TRACE is refused, and told what is allowed', async (t) => {
  const gateway = await startGateway(t, ['http://127.0.0.1:1'])

  const reply = await send(gateway.port, { method: 'TRACE' })

  assertError(reply, 405, 'FST_GATEWAY_METHOD_NOT_ALLOWED')
  assert.match(reply.headers.allow ?? '', /^GET, /)
})

for (const line of ['GET / HTTP/2.0', 'GET / HTTP/0.9', 'GET /']) {
  test(`'${line}' is a version that nobody here speaks`, async (t) => {
    const target = always(OK)
    const gateway = await startGateway(t, [(await startRawTarget(t, target.onSocket)).url])
    const client = new RawClient(t, gateway.port)

    client.write(`${line}\r\nHost: a\r\n\r\n`)

    assert.match(await client.end(), /^HTTP\/1\.1 505 [\s\S]*FST_GATEWAY_VERSION_NOT_SUPPORTED/)
    assert.deepEqual(target.heads, [])
  })
}
