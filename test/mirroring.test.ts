import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shadowHost } from '../plugins/proxy/mirroring/shadow-host.ts'
import { eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { countersOf, startMirrored, startRecording } from './mirror-helper.ts'

test('a mirror gets the request that the target gets: method, path, headers in order, body, trailers', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow')
  const { port, quiet, mirror } = await startMirrored(
    t,
    primary.url,
    shadow.url,
    {},
    {
      route: {
        rewrite: { prefix: '/v1' },
        request: { headers: { set: { 'x-tenant': 'blue' } }, query: { remove: ['debug'] } }
      }
    }
  )
  const client = new RawClient(t, port)

  client.write('POST /a%2Fb?x=1&debug HTTP/1.1\r\nHost: gw.test:81\r\nX-B: 1\r\nx-b: 2\r\nTrailer: x-sum\r\n')
  client.write('Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n')
  await client.until('primary')
  await quiet()

  const [copy] = shadow.seen
  assert.deepEqual(copy, primary.seen[0])
  assert.equal(copy?.url, '/v1/a%2Fb?x=1')
  assert.equal(copy?.headers.host, 'gw.test:81')
  assert.equal(copy?.body, 'hello')
  assert.equal(copy?.trailers['x-sum'], '9')
  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1 })
})

test('the response of a mirror is thrown away, whatever it is', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow', (_request, response) => {
    response.writeHead(500, { 'set-cookie': 'a=1' }).end('no')
  })
  const { port, quiet, mirror } = await startMirrored(t, primary.url, shadow.url)

  const reply = await send(port)
  await quiet()

  assert.equal(reply.status, 200)
  assert.equal(reply.body.toString(), 'primary')
  assert.equal(reply.headers['set-cookie'], undefined)
  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1 })
})

test('each of several mirrors gets a copy, and a name alone is a mirror too', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadows = [await startRecording(t, 'one'), await startRecording(t, 'two')]
  const [one, two] = shadows
  const { app, port } = await startGateway(t, [primary.url], {
    more: { one: { targets: [one?.url ?? ''] }, two: { targets: [two?.url ?? ''] } },
    route: { mirror: [{ upstream: 'one' }, { upstream: 'two', percent: 100 }, { upstream: 'one', percent: 0 }] }
  })
  const single = await startGateway(t, [primary.url], {
    more: { one: { targets: [one?.url ?? ''] } },
    route: { mirror: 'one' }
  })

  await send(port, { method: 'PUT' }, 'body')
  await send(single.port)
  const mirrors = [...app.mirrors.list, ...single.app.mirrors.list]
  await eventually(() => mirrors.every(({ inFlight }) => inFlight === 0), 'a mirrored request stays')

  assert.deepEqual(mirrors.map(countersOf), [
    { sent: 1, answered: 1 },
    { sent: 1, answered: 1 },
    {},
    { sent: 1, answered: 1 }
  ])
  assert.deepEqual(
    shadows.map(({ seen }) => seen.map(({ body }) => body)),
    [['body', ''], ['body']]
  )
  assert.deepEqual(
    mirrors.map(({ route, upstream }) => `${route} ${upstream}`),
    ['all one', 'all two', 'all one', 'all one']
  )
})

test('percent of the requests are copied, at random', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow')
  const { port, quiet, mirror } = await startMirrored(t, primary.url, shadow.url, { percent: 25 })

  for (let sent = 0; sent < 20; sent++) await Promise.all(Array.from({ length: 10 }, () => send(port)))
  await quiet()

  // 50, give or take six standard deviations.
  assert.ok(mirror.counters.sent > 13 && mirror.counters.sent < 87, `${mirror.counters.sent}`)
  assert.equal(shadow.seen.length, mirror.counters.sent)
})

for (const [host, expected] of [
  ['a.example', 'a.example-shadow'],
  ['a.example:8080', 'a.example-shadow:8080'],
  ['[::1]:80', '[::1]:80'],
  ['', '']
] as const) {
  test(`the shadow of the Host '${host}' is '${expected}'`, () => {
    assert.equal(shadowHost(host), expected)
  })
}

test('with shadowHost, the Host of copies says what they are', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow')
  const { port, quiet } = await startMirrored(t, primary.url, shadow.url, { shadowHost: true })

  await send(port, { headers: { host: 'a.example:81' } })
  await quiet()

  assert.equal(shadow.seen[0]?.headers.host, 'a.example-shadow:81')
  assert.equal(primary.seen[0]?.headers.host, 'a.example:81')
})

test('a mirror with targets of its own strategy is balanced by it', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadows = await Promise.all(['a', 'b', 'c'].map((name) => startRecording(t, name)))
  const { port, quiet } = await startMirrored(
    t,
    primary.url,
    '',
    {},
    {
      more: { shadow: { targets: shadows.map(({ url }) => url), strategy: 'hash', hashKey: 'query:user' } }
    }
  )

  for (let round = 0; round < 3; round++) {
    for (const user of 'abcdefgh') await send(port, { path: `/?user=${user}` })
  }
  await quiet()

  for (const { seen } of shadows) {
    for (const { url } of seen) assert.equal(seen.filter((other) => other.url === url).length, 3)
  }
  assert.ok(shadows.filter(({ seen }) => seen.length > 0).length > 1)
})

test('upgrades are not copied', async (t) => {
  const primary = await startRecording(t, 'primary')
  const shadow = await startRecording(t, 'shadow')
  const { port, mirror } = await startMirrored(t, primary.url, shadow.url)
  const client = new RawClient(t, port)

  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
  await client.until('primary')

  assert.deepEqual(countersOf(mirror), {})
})
