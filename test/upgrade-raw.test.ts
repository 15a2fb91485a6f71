import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import {
  always,
  eventually,
  foreignHook,
  RawClient,
  type RunningGateway,
  script,
  startGateway,
  valuesOf
} from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'
import { asking, RawTarget, SWITCH, switchTo } from './upgrade-helper.ts'

/** Tells how many bytes the gateway has read from its latest client. */
function bytesReadBy({ app }: RunningGateway): () => number {
  let socket: Socket | undefined
  app.server.on('connection', (accepted: Socket) => {
    socket = accepted
  })
  return () => socket?.bytesRead ?? 0
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test('what the client sends behind its request waits for the 101, and is delivered then (CVE-2026-2833)', async (t) => {
  const target = await RawTarget.start(t, '')
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)
  const received = bytesReadBy(gateway)

  client.write(`${asking()}GET /admin HTTP/1.1\r\nHost: gw.test\r\n\r\n`)
  await target.until('upgrade: foo\r\n\r\n')
  client.write('and more')
  await eventually(() => received() === client.socket.bytesWritten, 'not received')
  const before = target.text
  target.latest?.write(SWITCH)
  await target.until('and more')

  assert.match(before, /\r\n\r\n$/)
  assert.ok(target.text.endsWith('upgrade: foo\r\n\r\nGET /admin HTTP/1.1\r\nHost: gw.test\r\n\r\nand more'))
})

test('what the target sends behind its 101 is delivered, also when it closes right there', async (t) => {
  const { url } = await startRawTarget(t, script((socket) => socket.end(`${SWITCH}\x88\x00GET /`, 'latin1')).onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(asking())
  const text = await client.end()

  assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  assert.ok(text.endsWith('\r\n\r\n\x88\x00GET /'))
  assert.equal(client.closed, 'end')
  await gateway.idle()
})

test('only what the client asked for goes out, with nothing else of its connection', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write(
    'GET /a%2Fb HTTP/1.1\r\nHost: gw.test\r\nUpgrade: foo/1\r\nX-Drop: 1\r\nKeep-Alive: timeout=5\r\n' +
      'Connection: keep-alive, x-drop\r\nConnection: Upgrade\r\nUpgrade: h2c, BAR\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n'
  )
  const head = await target.until('\r\n\r\n')

  assert.match(head, /^GET \/a%2Fb HTTP\/1\.1\r\n/)
  assert.deepEqual([valuesOf(head, 'connection'), valuesOf(head, 'upgrade')], [['upgrade'], ['foo/1, BAR']])
  assert.doesNotMatch(head, /x-drop|keep-alive|http2-settings|h2c/i)
})

test('the 101 reaches the client with the headers it had, framing aside', async (t) => {
  const answer =
    'HTTP/1.1 101 Go On\r\nServer: x\r\nUPGRADE: Foo\r\nConnection: keep-alive, Upgrade, X-Hop\r\nX-Hop: 1\r\n' +
    'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 5\r\nSec-WebSocket-Accept: abc=\r\n\r\nhello'
  const target = await RawTarget.start(t, answer)
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write(asking())
  const text = await client.until('hello')

  assert.equal(
    text,
    'HTTP/1.1 101 Go On\r\nServer: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nSec-WebSocket-Accept: abc=\r\n' +
      'connection: upgrade\r\nupgrade: Foo\r\n\r\nhello'
  )
})

test('an Early Hints response before the 101 is passed on', async (t) => {
  const target = await RawTarget.start(t, `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${SWITCH}`)
  const gateway = await startGateway(t, [target.url])

  const client = await switchTo(t, gateway.port)

  assert.match(await client.until('101'), /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 101 /)
})

for (const { what, answer, request = asking() } of [
  { what: 'a 101 that nobody asked for', answer: SWITCH, request: 'GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n' },
  { what: 'a 101 to another protocol', answer: SWITCH.replace('foo', 'bar') },
  { what: 'a 101 to one protocol more', answer: SWITCH.replace('foo', 'foo, bar') },
  { what: 'a 101 to no protocol', answer: 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n' },
  { what: 'a 101 without the option of Connection', answer: 'HTTP/1.1 101 X\r\nUpgrade: foo\r\n\r\n' },
  { what: 'a 101 in HTTP/1.0', answer: SWITCH.replace('1.1', '1.0') },
  { what: 'a 101 to h2c, which was dropped', answer: SWITCH.replace('foo', 'h2c'), request: asking('h2c, foo') },
  { what: 'a head that is none', answer: 'GET / HTTP/1.1\r\n\r\n' }
]) {
  test(`${what} is a 502, and nothing behind it reaches anybody`, async (t) => {
    const { url } = await startRawTarget(t, always(`${answer}secret`).onSocket)
    const gateway = await startGateway(t, [url], { upstream: { retry: { attempts: 0 } } })
    const client = new RawClient(t, gateway.port)

    client.write(`${request}`)
    const text = await client.until('FST_GATEWAY_BAD_RESPONSE')

    assert.match(text, /^HTTP\/1\.1 502 /)
    assert.doesNotMatch(text, /secret|101 Switching/)
    await gateway.idle()
  })
}

for (const { what, answer, body } of [
  { what: 'of a known length', answer: `${OK}HTTP/1.1 200 OK`, body: 'ok' },
  {
    what: 'that claims to have switched',
    answer: OK.replace('\r\n', '\r\nUpgrade: foo\r\nConnection: upgrade\r\n'),
    body: 'ok'
  },
  {
    what: 'that is chunked',
    answer: 'HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    body: '2\r\nok\r\n0\r\n\r\n'
  },
  { what: 'without a body', answer: 'HTTP/1.1 204 No Content\r\n\r\n', body: '' }
]) {
  test(`an answer ${what} is an ordinary answer, after which the connection closes (CVE-2024-23326)`, async (t) => {
    const { url, sockets } = await startRawTarget(t, always(answer).onSocket)
    const gateway = await startGateway(t, [url])
    const client = new RawClient(t, gateway.port)

    client.write(`${asking()}GET /smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n`)
    const text = await client.end()

    assert.deepEqual([valuesOf(text, 'connection'), valuesOf(text, 'upgrade')], [['close'], []])
    assert.ok(text.endsWith(`\r\n\r\n${body}`))
    assert.doesNotMatch(text, /101 Switching/)
    assert.equal(client.closed, 'end')
    await gateway.idle()
    assert.ok(sockets.size <= 1)
  })
}

test('a refusal that ends with the connection arrives whole', async (t) => {
  const { url } = await startRawTarget(
    t,
    script((socket) => socket.end('HTTP/1.1 403 No\r\n\r\nuntil the end')).onSocket
  )
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(asking())

  assert.match(await client.end(), /^HTTP\/1\.1 403 No\r\n[\s\S]*until the end/)
})

for (const hooked of [false, true]) {
  test(`a large refusal passes at the pace of the client${hooked ? ', through hooks' : ''}`, async (t) => {
    const body = Buffer.alloc(8 * 1024 * 1024, 'x')
    const { url } = await startRawTarget(
      t,
      script((socket) => {
        socket.write(`HTTP/1.1 403 No\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n`)
        socket.write(body)
      }).onSocket
    )
    const gateway = await startGateway(t, [url], hooked ? { prepare: foreignHook } : {})
    const client = new RawClient(t, gateway.port)

    client.write(asking())
    await client.until('\r\n\r\n')
    client.socket.pause()
    await new Promise((resolve) => setImmediate(resolve))
    client.socket.resume()
    const text = await client.end()

    assert.equal(text.length - text.indexOf('\r\n\r\n') - 4, body.length)
  })
}

test('an absolute target names a host, not where the request goes (CVE-2026-44578)', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write(asking('foo', 'http://169.254.169.254/latest'))
  const head = await target.until('\r\n\r\n')

  assert.match(head, /^GET \/latest HTTP\/1\.1\r\nhost: 169\.254\.169\.254\r\n/i)
})

test('an upgrade waits for the answers to the requests before it on the same connection', async (t) => {
  const arrived: string[] = []
  const target = await startTarget(t, (request, response) => {
    arrived.push(request.url ?? '')
    setImmediate(() => response.end(`answer to ${request.url}`))
  })
  target.server.on('upgrade', (request, socket) => {
    arrived.push(request.url ?? '')
    socket.write(SWITCH)
    socket.pipe(socket)
  })
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write(`GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n${asking('foo', '/3')}echo me`)
  const text = await client.until('echo me')

  assert.deepEqual(arrived, ['/1', '/2', '/3'])
  assert.match(text, /answer to \/1[\s\S]*answer to \/2HTTP\/1\.1 101 [\s\S]*\r\n\r\necho me$/)
  client.socket.end()
})

for (const { what, lines, line = 'GET / HTTP/1.1' } of [
  { what: 'h2c', lines: 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n' },
  { what: 'no option of Connection', lines: 'Upgrade: foo\r\n' },
  { what: 'HTTP/1.0', lines: 'Connection: Upgrade, keep-alive\r\nUpgrade: foo\r\n', line: 'GET / HTTP/1.0' },
  { what: 'no protocol', lines: 'Connection: Upgrade\r\nUpgrade:\r\n' },
  { what: 'nonsense for a protocol', lines: 'Connection: Upgrade\r\nUpgrade: foo bar\r\n' }
]) {
  test(`an Upgrade with ${what} is ignored: the request is an ordinary one`, async (t) => {
    const { url } = await startRawTarget(t, always(OK).onSocket)
    const heads: string[] = []
    const target = await startRawTarget(
      t,
      script((socket, head) => {
        heads.push(head)
        socket.write(OK)
      }).onSocket
    )
    const gateway = await startGateway(t, [target.url, { url, backup: true }])
    const client = new RawClient(t, gateway.port)

    client.write(`${line}\r\nHost: gw.test\r\n${lines}\r\n`)
    await client.until('\r\n\r\nok')
    // The connection goes on as it would without an Upgrade.
    client.write('GET /next HTTP/1.1\r\nHost: gw.test\r\n\r\n')
    await eventually(() => client.text.split('\r\n\r\nok').length === 3, 'the second answer is missing')

    assert.equal(heads.length, 2)
    assert.deepEqual([valuesOf(heads[0] ?? '', 'upgrade'), valuesOf(heads[0] ?? '', 'http2-settings')], [[], []])
    assert.doesNotMatch(client.text, /connection: close/i)
  })
}

for (const protocol of ['h2c', 'foo']) {
  for (const { what, framing, body } of [
    { what: 'a body of a known length', framing: 'Content-Length: 5\r\n', body: 'hello' },
    { what: 'a chunked body', framing: 'Transfer-Encoding: chunked\r\n', body: '5\r\nhello\r\n0\r\n\r\n' }
  ]) {
    for (const split of [false, true]) {
      test(`Upgrade: ${protocol} with ${what}${split ? ' that comes later' : ''} is an ordinary request`, async (t) => {
        const { url } = await startTarget(t, async (request, response) => {
          let text = ''
          for await (const chunk of request) text += chunk
          response.end(`${request.method} ${request.headers.upgrade} ${text}`)
        })
        const gateway = await startGateway(t, [url])
        const client = new RawClient(t, gateway.port)
        const received = bytesReadBy(gateway)

        client.write(
          `POST / HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${framing}\r\n`
        )
        if (split) await eventually(() => received() > 0, 'not received')
        client.write(body)

        await client.until('POST undefined hello')
        await gateway.idle()
      })
    }
  }
}

test('where nothing matches, a request with an Upgrade gets its 404, and the connection closes', async (t) => {
  const target = await RawTarget.start(t)
  const gateway = await startGateway(t, [target.url], { route: { match: { path: '/ws' } } })
  const client = new RawClient(t, gateway.port)

  client.write(asking('foo', '/other'))
  const text = await client.end()

  assert.match(text, /^HTTP\/1\.1 404 /)
  assert.deepEqual([target.text, client.closed], ['', 'end'])
})

test('`upgrade: false` on a route makes every request to it an ordinary one', async (t) => {
  const heads: string[] = []
  const { url } = await startRawTarget(
    t,
    script((socket, head) => {
      heads.push(head)
      socket.write(OK)
    }).onSocket
  )
  const gateway = await startGateway(t, [url], { route: { upgrade: false } })
  const client = new RawClient(t, gateway.port)

  client.write(asking())
  await client.until('\r\n\r\nok')

  assert.deepEqual(valuesOf(heads[0] ?? '', 'upgrade'), [])
})
