import assert from 'node:assert/strict'
import { conforms, differs } from './conformance-helper.ts'
import { pick, RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'

conforms(
  'TestReverseProxy',
  'headers of the connection stay with it, te is cut down to trailers, and the Host is kept',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(
      'GET / HTTP/1.1\r\nHost: name.test\r\nConnection: close, TE\r\nTE: deflate\r\nTE: gzip;q=0.5, trailers\r\n' +
        'Proxy-Connection: keep-alive\r\nUpgrade: h9\r\n\r\n'
    )
    await client.end()

    const head = target.requests[0]?.head ?? ''
    assert.match(head, /^GET \/ HTTP\/1\.1\r\n/)
    for (const name of ['connection', 'proxy-connection', 'upgrade', 'transfer-encoding']) {
      assert.deepEqual(valuesOf(head, name), [])
    }
    assert.deepEqual(valuesOf(head, 'te'), ['trailers'])
    assert.deepEqual(valuesOf(head, 'host'), ['name.test'])
    assert.deepEqual(valuesOf(head, 'x-forwarded-for'), ['127.0.0.1'])
  }
)

conforms(
  'TestReverseProxy',
  'status, repeated headers, a cookie and a header called Trailers come back, Upgrade does not',
  async (t) => {
    const target = await startTarget(t, (_request, response) => {
      response.setHeader('Trailers', 'just a name')
      response.setHeader('Upgrade', 'h9')
      response.setHeader('X-Twice', ['one', 'two'])
      response.setHeader('Set-Cookie', 'taste=sweet')
      response.writeHead(404)
      response.end('here is the target')
    })
    const gateway = await startGateway(t, [target.url])

    const reply = await send(gateway.port)

    assert.equal(reply.status, 404)
    assert.equal(reply.body.toString(), 'here is the target')
    assert.deepEqual(pick(reply.raw, 'trailers'), ['just a name'])
    assert.deepEqual(pick(reply.raw, 'x-twice'), ['one', 'two'])
    assert.deepEqual(pick(reply.raw, 'set-cookie'), ['taste=sweet'])
    assert.deepEqual(pick(reply.raw, 'upgrade'), [])
  }
)

conforms('TestReverseProxy', 'trailers reach the client, whether announced or not', async (t) => {
  const answer =
    'HTTP/1.1 200 OK\r\ntrailer: X-Told\r\ntransfer-encoding: chunked\r\n\r\n' +
    '4\r\nbody\r\n0\r\nX-Told: a\r\nX-Untold: b\r\n\r\n'
  const target = await startRecordingTarget(t, answer)
  const gateway = await startGateway(t, [target.url])

  const reply = await send(gateway.port)

  assert.deepEqual(pick(reply.raw, 'trailer'), ['X-Told'])
  assert.equal(reply.body.toString(), 'body')
  assert.deepEqual(reply.trailers, ['X-Told', 'a', 'X-Untold', 'b'])
})

conforms('TestReverseProxy', 'a target that hangs up without an answer is a 502', async (t) => {
  const target = await startRecordingTarget(t, (socket) => socket.destroy())
  const gateway = await startGateway(t, [target.url])

  assert.equal((await send(gateway.port, { headers: { connection: 'close' } })).status, 502)
})

conforms('TestUnannouncedTrailer', 'a trailer follows an empty body that did not announce it', async (t) => {
  const target = await startTarget(t, (_request, response) => {
    response.flushHeaders()
    response.addTrailers([['X-Late', 'here']])
    response.end()
  })
  const gateway = await startGateway(t, [target.url])

  const reply = await send(gateway.port)

  assert.deepEqual(reply.trailers, ['X-Late', 'here'])
})

conforms(
  'TestReverseProxyStripHeadersPresentInConnection',
  'what several Connection headers name is left out on the way in and on the way out',
  async (t) => {
    const fields = 'Connection: Upgrade, X-Token\r\nConnection: X-Other\r\nX-Other: 1\r\nX-Token: 2\r\nX-End: 3\r\n'
    const answer = `HTTP/1.1 200 OK\r\n${fields}content-length: 2\r\n\r\nok`
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`)
    const reply = await client.until('\r\n\r\nok')

    for (const head of [target.requests[0]?.head ?? '', reply]) {
      for (const name of ['x-other', 'x-token', 'upgrade']) assert.deepEqual(valuesOf(head, name), [])
      assert.deepEqual(valuesOf(head, 'x-end'), ['3'])
    }
    assert.doesNotMatch(target.requests[0]?.head ?? '', /^connection:/im)
    assert.doesNotMatch(reply, /^connection:.*x-/im)
  }
)

conforms(
  'TestReverseProxyStripEmptyConnection',
  'an empty Connection header does not hide the next one, in neither direction',
  async (t) => {
    const fields = 'Connection:\r\nConnection: X-Other\r\nX-Other: 1\r\n'
    const answer = `HTTP/1.1 200 OK\r\n${fields}content-length: 2\r\n\r\nok`
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`)
    const reply = await client.until('\r\n\r\nok')

    assert.doesNotMatch(target.requests[0]?.head ?? '', /^(connection|x-other):/im)
    assert.doesNotMatch(reply, /^x-other:/im)
  }
)

conforms('TestXForwardedFor', 'the address of the client comes after those that a trusted proxy sent', async (t) => {
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url], { options: { trustedProxies: ['127.0.0.1'] } })

  await send(gateway.port, { headers: { 'x-forwarded-for': '198.51.100.7' } })

  assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'x-forwarded-for'), ['198.51.100.7, 127.0.0.1'])
})

differs(
  'TestXForwardedFor',
  'addresses that a client claims are replaced by its own',
  'anybody could claim any address; NewSingleHostReverseProxy appends, and is deprecated for that',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])

    await send(gateway.port, { headers: { 'x-forwarded-for': '198.51.100.7' } })

    assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'x-forwarded-for'), ['127.0.0.1'])
  }
)

conforms('TestXForwardedFor_Omit', 'a route can keep the address of the client to itself', async (t) => {
  const target = await startRecordingTarget(t)
  const route = { request: { headers: { remove: ['x-forwarded-for'] } } }
  const gateway = await startGateway(t, [target.url], { route })

  await send(gateway.port)

  assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'x-forwarded-for'), [])
})

conforms(
  'TestReverseProxyRewriteStripsForwarded',
  'nothing that a client says about proxies gets through',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const headers = { forwarded: 'me', 'x-forwarded-for': 'me', 'x-forwarded-host': 'me', 'x-forwarded-proto': 'me' }

    await send(gateway.port, { headers })

    assert.doesNotMatch(target.requests[0]?.head ?? '', /\bme\b/)
  }
)

conforms('TestUserAgentHeader', 'a User-Agent is kept, and none is made up', async (t) => {
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url])

  await send(gateway.port, { headers: { 'user-agent': 'browser/1' } })
  await send(gateway.port)

  const agents = target.requests.map(({ head }) => valuesOf(head, 'user-agent'))
  assert.deepEqual(agents, [['browser/1'], []])
})

conforms('TestSetURL', 'the Host can be that of the target', async (t) => {
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url], { route: { rewrite: { host: 'target' } } })

  await send(gateway.port, { headers: { host: 'name.test' } })

  assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'host'), [new URL(target.url).host])
})

conforms(
  'TestClonesRequestHeaders',
  'hooks of the app see the headers and the URL of the client, also after forwarding',
  async (t) => {
    const target = await startRecordingTarget(t)
    const seen: unknown[] = []
    const route = { rewrite: { prefix: '/v1' }, request: { headers: { set: { 'x-added': '1', 'x-kept': 'changed' } } } }
    const gateway = await startGateway(t, [target.url], {
      route,
      prepare: (app) => {
        app.addHook('onResponse', async ({ url, raw, headers }) => {
          seen.push(url, raw.url, headers['x-kept'], headers['x-added'], headers['x-forwarded-for'])
        })
      }
    })

    await send(gateway.port, { path: '/a?b', headers: { 'x-kept': 'original' } })
    await gateway.app.close()

    assert.match(target.requests[0]?.head ?? '', /^GET \/v1\/a\?b HTTP[\s\S]*x-kept: changed/)
    assert.deepEqual(seen, ['/a?b', '/a?b', 'original', undefined, undefined])
  }
)
