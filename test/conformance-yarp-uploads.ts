import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { eventually, RawClient, startGateway } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'
import { startRecordingTarget, unframed } from './recording-target.ts'

const POST = 'POST / HTTP/1.1\r\nHost: gw.test\r\n'

conformsEach(
  'HttpForwarderTests.RequestWithBodies_WrongContentLength',
  'a body shorter than announced never looks complete to the target',
  ['', 'half'],
  (body) => `'${body}'`,
  async (t, body) => {
    let complete: boolean | undefined
    const target = await startTarget(t, (request) => {
      request.resume().on('close', () => {
        complete = request.complete
      })
      client.socket.end()
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${POST}Content-Length: 8\r\n\r\n${body}`)

    await eventually(() => complete !== undefined, 'the target waits')
    await gateway.idle()
    assert.equal(complete, false)
  }
)

differs(
  'HttpForwarderTests.RequestWithBodies_WrongContentLength (longer)',
  'what follows the announced length is the next request, and a 400 if it is none',
  'that is what it is in HTTP/1.1; only a mock can be told otherwise',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${POST}Content-Length: 1\r\n\r\naa`)

    await client.end()
    assert.match(client.text, /HTTP\/1\.1 400 /)
    assert.ok(target.requests.length <= 1)
    for (const request of target.requests) assert.equal(unframed(request), 'a')
  }
)

conforms(
  'HttpForwarderTests.RequestBodyClientErrorBeforeResponseError_Returns400',
  'a body that breaks its own framing is a 400, and the target never sees its end',
  async (t) => {
    let complete: boolean | undefined
    const target = await startTarget(t, (request) => {
      request.resume().on('close', () => {
        complete = request.complete
      })
      client.write('zz\r\n')
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${POST}Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n`)

    assert.match(await client.end(), /^HTTP\/1\.1 400 /)
    await eventually(() => complete !== undefined, 'the target waits')
    await gateway.idle()
    assert.equal(complete, false)
  }
)

conformsEach(
  'HttpForwarderTests.NonGenericRequestBodyClientErrorCode_ReturnsNonGenericClientErrorCode',
  'a body above the limit is a 413, and the target never sees its end',
  ['Content-Length: 9\r\n\r\nxxxxxxxxx', 'Transfer-Encoding: chunked\r\n\r\n9\r\nxxxxxxxxx\r\n0\r\n\r\n'],
  (body) => body.slice(0, body.indexOf(':')),
  async (t, body) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], { options: { server: { bodyLimit: 8 } } })
    const client = new RawClient(t, gateway.port)

    client.write(`${POST}${body}`)

    assert.match(await client.until('FST_GATEWAY_BODY_TOO_LARGE'), /^HTTP\/1\.1 413 /)
    assert.equal(target.requests.length, 0)
  }
)

conforms(
  'HttpForwarderTests.RequestBodyDestinationErrorBeforeResponseError_Returns502',
  'a target that resets the connection while the body is on its way is a 502',
  async (t) => {
    const target = await startRawTarget(t, (socket) => socket.once('data', () => socket.resetAndDestroy()))
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${POST}Content-Length: 100\r\n\r\nhalf`)

    assert.match(await client.until('FST_GATEWAY_TARGET_CLOSED'), /^HTTP\/1\.1 502 /)
  }
)

conforms(
  'HttpForwarderTests.RequestBodyDestinationErrorAfterResponse_Reported',
  'an answer that comes before the end of the upload is delivered, and the target may close then',
  async (t) => {
    const target = await startRawTarget(t, (socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nearly'))
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${POST}Content-Length: 100\r\n\r\nhalf`)

    assert.match(await client.until('early'), /^HTTP\/1\.1 200 /)
    await gateway.idle()
  }
)

conforms(
  'HttpForwarderTests.RequestBodyClientErrorAfterResponse_Reported, RequestBodyCanceledAfterResponse_Reported',
  'a client that leaves in the middle of its upload after the answer leaves nothing behind',
  async (t) => {
    const target = await startRawTarget(t, (socket) => {
      socket.on('end', () => socket.end())
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly'))
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)
    client.write(`${POST}Content-Length: 100\r\n\r\nhalf`)
    await client.until('early')

    client.socket.destroy()

    await eventually(() => target.sockets.size === 0, 'the connection to the target stays')
    await gateway.idle()
  }
)
