import assert from 'node:assert/strict'
import { conforms, conformsEach } from './conformance-helper.ts'
import { eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { startRecordingTarget, unframed } from './recording-target.ts'

conforms('TestReverseProxy_Post', 'a body of 1 MiB arrives byte for byte', async (t) => {
  const body = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * 7) % 251))
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url])

  const reply = await send(gateway.port, { method: 'POST' }, body)

  assert.equal(reply.status, 200)
  const [request] = target.requests
  assert.ok(request !== undefined && Buffer.from(unframed(request), 'latin1').equals(body))
})

conforms('TestNilBody', 'a request of HTTP/1.0 without a body is answered', async (t) => {
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n')

  assert.match(await client.end(), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok$/)
})

conforms(
  'TestReverseProxy_NilBody',
  'a request without a body goes out without one, and without framing',
  async (t) => {
    const target = await startRecordingTarget(t, (socket) => socket.destroy())
    const gateway = await startGateway(t, [target.url])

    const reply = await send(gateway.port)

    assert.equal(reply.status, 502)
    assert.doesNotMatch(target.requests[0]?.head ?? '', /^(content-length|transfer-encoding):/im)
  }
)

conforms('TestReverseProxy_AllocatedHeader', 'a request without any header is forwarded', async (t) => {
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write('GET /bare HTTP/1.0\r\n\r\n')

  assert.match(await client.end(), /\r\n\r\nok$/)
  assert.match(target.requests[0]?.head ?? '', /^GET \/bare HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/)
})

conforms('TestReverseProxyFlushInterval', 'the first bytes of a body do not wait for the next ones', async (t) => {
  const target = await startTarget(t, (_request, response) => response.write('first'))
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')

  assert.match(await client.until('first'), /^HTTP\/1\.1 200 /)
})

conforms('TestReverseProxyFlushIntervalHeaders', 'headers do not wait for the body', async (t) => {
  const target = await startTarget(t, (_request, response) =>
    response.writeHead(200, { 'x-early': '1' }).flushHeaders()
  )
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')

  assert.match(await client.until('\r\n\r\n'), /^x-early: 1\r$/m)
})

conformsEach(
  'TestSelectFlushInterval',
  'an event reaches the client while the stream goes on',
  [
    { 'content-type': 'text/event-stream' },
    { 'content-type': 'text/event-stream', 'content-length': '1000' },
    { 'content-type': 'text/event-stream;charset=utf-8' },
    { 'content-type': 'text/event-stream;charset=utf-8', 'content-length': '1000' },
    { 'content-type': 'application/json', 'content-length': '1000' },
    {}
  ],
  (headers) => JSON.stringify(headers),
  async (t, headers) => {
    const target = await startTarget(t, (_request, response) => {
      response.writeHead(200, { ...headers })
      response.write('data: 1\n\n')
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')

    await client.until('data: 1\n\n')
    assert.equal(client.closed, 'no')
  }
)

conforms('TestReverseProxyCancellation', 'a client that leaves cancels the request at the target', async (t) => {
  let cancelled = false
  const target = await startTarget(t, (request) => {
    client.socket.destroy()
    request.on('close', () => {
      cancelled = true
    })
  })
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)

  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')

  await eventually(() => cancelled, 'the target is not told')
  await gateway.idle()
  assert.equal(client.text, '')
})
