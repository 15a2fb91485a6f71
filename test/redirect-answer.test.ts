import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { test } from 'node:test'
import Fastify from 'fastify'
import type { GatewayOptions } from '../plugins/config/index.ts'
import proxy, { type ProxyOptions } from '../plugins/proxy/index.ts'
import { assertError, eventually, foreignHook, RawClient, send } from './forwarding-helper.ts'
import { portOf } from './helper.ts'

type Redirect = NonNullable<NonNullable<GatewayOptions['routes']>[number]['redirect']>

/** A gateway on a free port whose only route redirects. */
async function start(
  t: { after(done: () => Promise<unknown>): void },
  redirect: Redirect,
  { route = {}, options = {}, hooked = false }: { route?: object; options?: ProxyOptions; hooked?: boolean } = {}
): Promise<{ port: number; inFlight: () => number }> {
  const app = Fastify({ forceCloseConnections: true })
  let inFlight = 0
  app.addHook('onRequest', async () => {
    inFlight++
  })
  app.addHook('onResponse', async () => {
    inFlight--
  })
  if (hooked) foreignHook(app)
  await app.register(proxy, { routes: [{ match: { path: '/old/*' }, redirect, ...route }], ...options })
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: portOf(app.server), inFlight: () => inFlight }
}

for (const status of [301, 302, 303, 307, 308] as const) {
  for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS', 'PROPFIND']) {
    test(`${method} is answered ${status} with a Location and no body`, async (t) => {
      const { port } = await start(t, { prefix: '/new', status })

      const reply = await send(port, { method, path: '/old/7?a=b', headers: { host: 'gw.test' } })

      assert.equal(reply.status, status)
      assert.equal(reply.headers.location, `http://gw.test:${port}/new/7?a=b`)
      assert.equal(reply.headers['content-length'], method === 'HEAD' ? undefined : '0')
      assert.equal(reply.body.length, 0)
    })
  }
}

test('without status it is a 302, and what does not match is a 404', async (t) => {
  const { port } = await start(t, { scheme: 'https', host: 'www.example.org' })

  const [found, missing] = await Promise.all([send(port, { path: '/old' }), send(port, { path: '/older' })])

  assert.deepEqual([found.status, found.headers.location], [302, 'https://www.example.org/old'])
  assert.equal(missing.status, 404)
})

test('layers and hooks see a redirect, and response rules apply to it', async (t) => {
  const seen: string[] = []
  const { port } = await start(
    t,
    { path: '/new' },
    {
      hooked: true,
      route: { response: { headers: { set: { 'Cache-Control': 'no-store' }, add: { 'X-A': ['1', '2'] } } } },
      options: {
        layers: [
          async ({ reply }, next) => {
            seen.push('in')
            await next()
            seen.push(`out ${reply.statusCode}`)
            reply.header('x-layer', 'yes')
          }
        ]
      }
    }
  )

  const { headers } = await send(port, { path: '/old', headers: { host: 'gw.test' } })

  assert.deepEqual(seen, ['in', 'out 302'])
  assert.equal(headers.location, `http://gw.test:${port}/new`)
  assert.deepEqual([headers['cache-control'], headers['x-a'], headers['x-layer']], ['no-store', '1, 2', 'yes'])
})

test('a layer can answer before the redirect does', async (t) => {
  const { port } = await start(
    t,
    { path: '/new' },
    { options: { layers: [{ name: 'guard', onRequest: ({ reply }) => reply.code(401).send() }] } }
  )

  const { status, headers } = await send(port, { path: '/old' })

  assert.deepEqual([status, headers.location], [401, undefined])
})

test('a small body is read for nothing, and the connection serves the next request', async (t) => {
  const { port } = await start(t, { path: '/new', status: 303 })
  const client = new RawClient(t, port)

  client.write(
    `POST /old HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 40\r\n\r\n${'GET /old HTTP/1.1\r\nHost: evil.test\r\n\r\n'.padEnd(40)}`
  )
  client.write('GET /old/2 HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n')
  const text = await client.end()

  assert.equal(text.match(/^HTTP\/1\.1 303 /gm)?.length, 2)
  assert.doesNotMatch(text, /evil/)
})

test('a small body that does not come is waited for, but not for ever', async (t) => {
  const { port } = await start(t, { path: '/new' })
  const client = new RawClient(t, port)
  await once(client.socket, 'connect')
  t.mock.timers.enable({ apis: ['setTimeout'] })

  client.write('POST /old HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 40\r\n\r\n')
  await client.until('\r\n\r\n')
  t.mock.timers.tick(9_999)
  const before = client.closed
  t.mock.timers.tick(1)
  await client.end()

  assert.equal(before, 'no')
})

for (const { name, head } of [
  { name: 'a large body', head: 'Content-Length: 100000' },
  { name: 'a body of unknown length', head: 'Transfer-Encoding: chunked' }
]) {
  test(`${name} is not waited for: the connection closes`, async (t) => {
    const { port } = await start(t, { path: '/new' })
    const client = new RawClient(t, port)

    client.write(`POST /old HTTP/1.1\r\nHost: gw.test\r\n${head}\r\n\r\n`)
    const text = await client.end()

    assert.match(text, /^HTTP\/1\.1 302 /)
    assert.match(text, /\r\nconnection: close\r\n/i)
  })
}

for (const host of ['evil.test/', 'a@evil.test', 'evil.test\\x', 'a:b:c', '%65vil.test', 'evil.test:70000', '']) {
  test(`the Host '${host}' is refused and stands in no Location`, async (t) => {
    const { port } = await start(t, { path: '/new' })
    const client = new RawClient(t, port)

    client.write(`GET /old HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    const text = await client.end()

    assert.match(text, /^HTTP\/1\.1 400 /)
    assert.doesNotMatch(text, /location/i)
  })
}

test('the port is the one that the client reached, whatever its Host says', async (t) => {
  const { port } = await start(t, { path: '/new' })

  const { headers } = await send(port, { path: '/old', headers: { host: 'gw.test:1' } })

  assert.equal(headers.location, `http://gw.test:${port}/new`)
})

test('a client of HTTP/1.0 that names no host gets a redirect only to a host of the route', async (t) => {
  const own = await start(t, { path: '/new' })
  const named = await start(t, { host: 'example.org', port: 80 })
  const replies = []
  for (const { port } of [own, named]) {
    const client = new RawClient(t, port)
    client.write('GET /old HTTP/1.0\r\n\r\n')
    replies.push(await client.end())
  }

  assert.match(replies[0] ?? '', /^HTTP\/1\.1 400 /)
  assert.match(replies[1] ?? '', /\r\nlocation: http:\/\/example\.org\/old\r\n/i)
})

// How a trusted proxy in front says it was reached; `PORT` is the port of the gateway.
const views: { name: string; headers: Record<string, string>; location: string }[] = [
  { name: 'nothing', headers: {}, location: 'http://gw.test:PORT/old' },
  { name: 'the scheme', headers: { 'x-forwarded-proto': 'https' }, location: 'https://gw.test/old' },
  { name: 'its own scheme', headers: { 'x-forwarded-proto': 'http' }, location: 'http://gw.test/old' },
  { name: 'the scheme in capitals', headers: { 'x-forwarded-proto': 'HTTPS' }, location: 'https://gw.test/old' },
  { name: 'several schemes', headers: { 'x-forwarded-proto': 'http, https' }, location: 'https://gw.test/old' },
  { name: 'an unknown scheme', headers: { 'x-forwarded-proto': 'javascript' }, location: 'http://gw.test/old' },
  { name: 'an empty scheme', headers: { 'x-forwarded-proto': '' }, location: 'http://gw.test:PORT/old' },
  {
    name: 'a port along with the host',
    headers: { 'x-forwarded-proto': 'https', host: 'gw.test:8443' },
    location: 'https://gw.test:8443/old'
  },
  {
    name: 'the usual port along with an address',
    headers: { 'x-forwarded-proto': 'https', host: '[::1]:443' },
    location: 'https://[::1]/old'
  },
  {
    name: 'another host and port, perhaps for its client',
    headers: { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.test', 'x-forwarded-port': '81' },
    location: 'https://gw.test/old'
  }
]

for (const { name, headers, location } of views) {
  test(`a trusted proxy that says ${name} is believed, a stranger is not`, async (t) => {
    const trusting = await start(t, {}, { options: { trustedProxies: ['loopback'] } })
    const distrusting = await start(t, {})
    const ask = async ({ port }: { port: number }) => {
      const reply = await send(port, { path: '/old', headers: { host: 'gw.test', ...headers } })
      return reply.headers.location?.replace(String(port), 'PORT')
    }

    assert.equal(await ask(trusting), location)
    assert.equal(await ask(distrusting), `http://${location.includes('[::1]') ? '[::1]' : 'gw.test'}:PORT/old`)
  })
}

test('under a prefix the new path is the whole one', async (t) => {
  const { port } = await start(t, { prefix: '/v2/old' }, { options: { prefix: '/v1' } })

  const { headers } = await send(port, { path: '/v1/old/7', headers: { host: 'gw.test' } })

  assert.equal(headers.location, `http://gw.test:${port}/v2/old/7`)
})

test('a path that became unsafe is a 400', async (t) => {
  const { port } = await start(t, { regex: { from: '/old', to: '' } }, { route: { match: { path: '/*' } } })

  assertError(await send(port, { path: '/old../x' }), 400, 'FST_GATEWAY_BAD_PATH')
})

test('every exchange ends, and none holds the connection', async (t) => {
  const { port, inFlight } = await start(t, { path: '/new' })
  const agent = new Agent({ keepAlive: true, maxSockets: 2 })
  t.after(() => agent.destroy())

  const replies = await Promise.all(Array.from({ length: 50 }, () => send(port, { path: '/old', agent })))

  assert.ok(replies.every(({ status }) => status === 302))
  await eventually(() => inFlight() === 0, 'an exchange does not end')
})
