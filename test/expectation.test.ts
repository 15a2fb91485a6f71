import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { type TestContext, test } from 'node:test'
import { eventually, RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { portOf, startRawTarget, startTarget } from './helper.ts'

const HEAD = 'POST /upload HTTP/1.1\r\nHost: gw.test\r\nExpect: 100-continue\r\n'
const LARGE = 200_000
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

/** A target that decides about expectations itself. */
async function startDeciding(t: TestContext, onExpect: RequestListener, onRequest: RequestListener = () => {}) {
  const server = createServer(onRequest)
  server.on('checkContinue', onExpect)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${portOf(server)}`
}

test('a large body is sent only after the target has asked for it', async (t) => {
  const sent: string[] = []
  const { url } = await startRawTarget(t, (socket) => socket.on('data', (chunk) => sent.push(chunk.toString('latin1'))))
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD}Content-Length: ${LARGE}\r\n\r\n`)
  await eventually(() => sent.length === 1, 'the head does not arrive')

  assert.deepEqual(valuesOf(sent[0] ?? '', 'expect'), ['100-continue'])
  assert.ok(sent[0]?.endsWith('\r\n\r\n'))
  assert.equal(client.text, '')
})

test('100 (Continue) of the target reaches the client, and the body the target', async (t) => {
  const url = await startDeciding(t, (request, response) => {
    response.writeContinue()
    let bytes = 0
    request.on('data', (chunk) => {
      bytes += chunk.length
    })
    request.on('end', () => response.end(String(bytes)))
  })
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD}Content-Length: ${LARGE}\r\n\r\n`)
  await client.until(CONTINUE)
  client.write(Buffer.alloc(LARGE))

  const text = await client.until(String(LARGE))
  assert.equal(text.split(CONTINUE).length, 2)
  await gateway.idle()
})

for (const [status, reason] of [
  [401, 'Unauthorized'],
  [413, 'Payload Too Large'],
  [417, 'Expectation Failed'],
  [200, 'OK']
] as const) {
  test(`${status} of a target that wants no body is passed on, without 100 and without the body`, async (t) => {
    let bytes = 0
    const url = await startDeciding(t, (request, response) => {
      request.on('data', (chunk) => {
        bytes += chunk.length
      })
      response.writeHead(status, reason, { 'content-length': 7 }).end('decided')
    })
    const gateway = await startGateway(t, [url])
    const client = new RawClient(t, gateway.port)

    client.write(`${HEAD}Content-Length: ${LARGE}\r\n\r\n`)
    const text = await client.end()

    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} ${reason}\r\n`))
    assert.match(text, /connection: close/i)
    assert.ok(text.endsWith('decided'))
    assert.equal(bytes, 0)
    await gateway.idle()
  })
}

test('a body of unknown length is asked for too', async (t) => {
  const url = await startDeciding(t, (_request, response) => response.writeHead(403).end())
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`)

  assert.match(await client.end(), /^HTTP\/1\.1 403 /)
})

test('a small body is let in by the gateway, and the target does not hear of the expectation', async (t) => {
  let expected: string | undefined = ''
  const { url } = await startTarget(t, (request, response) => {
    expected = request.headers.expect
    request.pipe(response)
  })
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD}Content-Length: 4\r\n\r\n`)
  await client.until(CONTINUE)
  client.write('body')

  assert.match(await client.until('body'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  assert.equal(expected, undefined)
})

test('a target that does not know 100 (Continue) gets the body after a second', async (t) => {
  const { url } = await startRawTarget(t, (socket) => {
    let bytes = 0
    socket.on('data', (chunk) => {
      bytes += chunk.length
      if (bytes > LARGE) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD}Content-Length: ${LARGE}\r\n\r\n`)
  await client.until(CONTINUE)
  client.write(Buffer.alloc(LARGE))

  await client.until('200 OK')
  await gateway.idle()
})

test('what the gateway refuses itself is refused before the body is on its way', async (t) => {
  const { url } = await startTarget(t, (_request, response) => response.end('never'))
  const gateway = await startGateway(t, [url], { options: { server: { bodyLimit: 1_000 } } })
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD}Content-Length: ${LARGE}\r\n\r\n`)
  const text = await client.end()

  assert.match(text, /^HTTP\/1\.1 413 /)
  assert.match(text, /FST_GATEWAY_BODY_TOO_LARGE/)
})

test('a target that cannot be reached is a 502, without 100 (Continue)', async (t) => {
  const server = await startRawTarget(t, (socket) => socket.resetAndDestroy())
  const gateway = await startGateway(t, [server.url])
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD}Content-Length: ${LARGE}\r\n\r\n`)

  assert.match(await client.end(), /^HTTP\/1\.1 502 /)
  await gateway.idle()
})

test('after a refusal before the body, another target is asked, since the body is still whole', async (t) => {
  const busy = await startDeciding(t, (_request, response) => response.writeHead(503).end())
  const other = await startDeciding(t, (request, response) => {
    response.writeContinue()
    request.resume().on('end', () => response.end('other'))
  })
  const gateway = await startGateway(t, [busy, other])
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD.replace('POST', 'PUT')}Content-Length: ${LARGE}\r\n\r\n`)
  await client.until(CONTINUE)
  client.write(Buffer.alloc(LARGE))

  assert.match(await client.until('other'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
})

test('routes beside those of the gateway let bodies in when they read them', async (t) => {
  const { url } = await startTarget(t, (_request, response) => response.end('target'))
  const gateway = await startGateway(t, [url], {
    prepare(app) {
      app.post('/own', async (request) => request.body)
      app.post('/refuse', { onRequest: async (_request, reply) => reply.code(401).send('no') }, async () => 'never')
    }
  })
  const own = new RawClient(t, gateway.port)
  const refused = new RawClient(t, gateway.port)

  own.write(`${HEAD.replace('/upload', '/own')}Content-Type: text/plain\r\nContent-Length: 4\r\n\r\n`)
  await own.until(CONTINUE)
  own.write('body')
  refused.write(`${HEAD.replace('/upload', '/refuse')}Content-Type: text/plain\r\nContent-Length: 4\r\n\r\n`)

  assert.match(await own.until('body'), /200 OK/)
  assert.match(await refused.end(), /^HTTP\/1\.1 401 /)
})

test('an expectation that nobody knows is a 417 (RFC 9110, section 10.1.1)', async (t) => {
  const { url } = await startTarget(t, (_request, response) => response.end('never'))
  const gateway = await startGateway(t, [url])

  assert.equal((await send(gateway.port, { headers: { expect: 'the-unexpected' } })).status, 417)
})

for (const [name, fields, body] of [
  ['a body that came with its head', 'Content-Length: 4\r\n', 'body'],
  ['a length of zero', 'Content-Length: 0\r\n', ''],
  ['no body', '', '']
] as const) {
  test(`with ${name} nobody waits for a 100, and the connection goes on`, async (t) => {
    const { url } = await startTarget(t, (request, response) => {
      response.write(`${request.url} `)
      request.pipe(response)
    })
    const gateway = await startGateway(t, [url])
    const client = new RawClient(t, gateway.port)

    client.write(`${HEAD}${fields}\r\n${body}GET /behind HTTP/1.1\r\nHost: gw.test\r\n\r\n`)
    const text = await client.until('/behind ')

    assert.equal(text.split('200 OK').length, 3)
    assert.ok(body === '' || text.includes(body))
    assert.doesNotMatch(text, /connection: close/i)
  })
}

for (const [name, expect] of [
  ['twice', '100-continue\r\nExpect: 100-Continue'],
  ['in a list with empty elements', ', 100-continue,']
] as const) {
  test(`100-continue may be asked for ${name}`, async (t) => {
    const { url } = await startTarget(t, (request, response) => request.pipe(response))
    const gateway = await startGateway(t, [url])
    const client = new RawClient(t, gateway.port)

    client.write(`${HEAD.replace('100-continue', expect)}Content-Length: 4\r\n\r\n`)
    await client.until(CONTINUE)
    client.write('body')

    assert.match(await client.until('body'), /200 OK/)
  })
}

test('nothing expected is no expectation', async (t) => {
  const { url } = await startTarget(t, (_request, response) => response.end('answered'))
  const gateway = await startGateway(t, [url])

  assert.equal((await send(gateway.port, { headers: { expect: '' } })).status, 200)
  assert.equal((await send(gateway.port, { headers: { expect: '100-continue, more' } })).status, 417)
})

test('HTTP/1.0 knows no expectations', async (t) => {
  const { url } = await startTarget(t, (request, response) => request.pipe(response))
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(`${HEAD.replace('1.1', '1.0')}Content-Length: 4\r\n\r\nbody`)

  assert.match(await client.end(), /^HTTP\/1\.1 200 OK/)
})

test('an injected request with an expectation is answered', async (t) => {
  const { url } = await startTarget(t, (request, response) => request.pipe(response))
  const { app } = await startGateway(t, [url])

  const reply = await app.inject({ method: 'POST', url: '/', headers: { expect: '100-continue' }, payload: 'body' })

  assert.deepEqual([reply.statusCode, reply.body], [200, 'body'])
})
