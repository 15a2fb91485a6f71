import assert from 'node:assert/strict'
import { test } from 'node:test'
import { always, RawClient, send, startGateway } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const GET = 'GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n'

test('103 (Early Hints) reaches the client before the response, as often as it comes', async (t) => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel="preload"\r\n\r\n'
  let finish = () => {}
  const { url } = await startRawTarget(t, (socket) => {
    socket.on('data', () => {
      socket.write(hints)
      socket.write('HTTP/1.1 102 Processing\r\n\r\n')
      finish = () => socket.write(OK)
    })
  })
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(GET)
  const early = await client.until('102 Processing\r\n\r\n')
  finish()

  assert.equal(early, `${hints}HTTP/1.1 102 Processing\r\n\r\n`)
  assert.match(await client.until('\r\n\r\nok'), /102 Processing\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
})

test('headers of the connection are taken out of informational responses', async (t) => {
  const hints =
    'HTTP/1.1 103 Early Hints\r\nConnection: x-private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nX-A: 1\r\n\r\n'
  const { url } = await startRawTarget(t, always(hints + OK).onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(GET)

  assert.ok((await client.until('200 OK')).startsWith('HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\nHTTP/1.1 200 OK'))
})

test('an HTTP/1.0 client gets no informational responses (RFC 9110, section 15.2)', async (t) => {
  const { url } = await startRawTarget(t, always(`HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n${OK}`).onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write('GET / HTTP/1.0\r\nHost: gw.test\r\n\r\n')

  assert.ok((await client.end()).startsWith('HTTP/1.1 200 OK\r\n'))
})

test('100 (Continue) that nobody asked for goes no further', async (t) => {
  const { url } = await startRawTarget(t, always(`HTTP/1.1 100 Continue\r\n\r\n${OK}`).onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(GET)

  assert.ok((await client.until('\r\n\r\nok')).startsWith('HTTP/1.1 200 OK\r\n'))
})

test('early hints of the second of two pipelined requests come after the answer to the first', async (t) => {
  const { url } = await startTarget(t, (request, response) => {
    if (request.url === '/1') response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.end(`answer ${request.url}`)
  })
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(GET.replace('/', '/0') + GET.replace('/', '/1'))

  assert.match(await client.until('answer /1'), /^HTTP\/1\.1 200 OK.*answer \/0HTTP\/1\.1 103 .*HTTP\/1\.1 200 OK/s)
})

test('an injected request survives early hints', async (t) => {
  const { url } = await startRawTarget(t, always(`HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n${OK}`).onSocket)
  const { app } = await startGateway(t, [url])

  const reply = await app.inject('/')

  assert.deepEqual([reply.statusCode, reply.body], [200, 'ok'])
})

test('early hints with an onSend hook come all the same', async (t) => {
  const { url } = await startRawTarget(t, always(`HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n${OK}`).onSocket)
  const gateway = await startGateway(t, [url], {
    prepare: (app) => app.addHook('onSend', async (_request, _reply, payload) => payload)
  })
  const client = new RawClient(t, gateway.port)

  client.write(GET)

  assert.match(await client.until('\r\n\r\nok'), /^HTTP\/1\.1 103 Early Hints\r\nX-A: 1\r\n\r\nHTTP\/1\.1 200 OK/)
  assert.equal((await send(gateway.port)).status, 200)
})
