import assert from 'node:assert/strict'
import { once } from 'node:events'
import { conforms, differs } from './conformance-helper.ts'
import { assertError, eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { freePort, startRawTarget, startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'

const GET = 'GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n'
const HEAD = 'HTTP/1.1 200 OK\r\naccept-ranges: bytes\r\ncontent-length: 100\r\n\r\n'

differs(
  'HttpForwarderTests.ResponseBodyDestionationErrorFirstRead_Returns502',
  'a target that fails between head and body leaves the client with the head, and a connection that is cut',
  'the head is on its way as soon as it arrives, and does not wait for the first byte of the body',
  async (t) => {
    const target = await startRecordingTarget(t, (socket) => {
      socket.write(HEAD)
      failed = async () => {
        await client.until('\r\n\r\n')
        socket.resetAndDestroy()
      }
    })
    let failed = async () => {}
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)
    client.write(GET)
    await eventually(() => target.requests.length === 1, 'nothing arrives')

    await failed()

    assert.match(await client.end(), /^HTTP\/1\.1 200 [\s\S]*content-length: 100[\s\S]*\r\n\r\n$/)
    await gateway.idle()
  }
)

conforms(
  'HttpForwarderTests.ResponseBodyDestionationErrorSecondRead_Aborted',
  'a target that fails in the body cuts the connection of the client',
  async (t) => {
    const target = await startRecordingTarget(t, (socket) => {
      socket.write(`${HEAD}x`, () => socket.resetAndDestroy())
    })
    const gateway = await startGateway(t, [target.url])

    const reply = await send(gateway.port)

    assert.deepEqual([reply.status, reply.complete, reply.headers['accept-ranges']], [200, false, 'bytes'])
    await gateway.idle()
  }
)

conforms(
  'HttpForwarderTests.ResponseBodyClientError_Aborted',
  'a client that resets its connection in the body aborts the target',
  async (t) => {
    let closed = false
    const target = await startTarget(t, (_request, response) => {
      response.write('x')
      response.on('close', () => {
        closed = true
      })
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)
    client.write(GET)
    await client.until('\r\nx\r\n')

    client.socket.resetAndDestroy()

    await eventually(() => closed, 'the target goes on')
    await gateway.idle()
  }
)

conforms(
  'HttpForwarderTests.ResponseBodyCancelledAfterStart_Aborted',
  'a client that leaves in the body aborts the target, also while that has nothing to say',
  async (t) => {
    const target = await startRecordingTarget(t, (socket) => socket.write(`${HEAD}x`))
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)
    client.write(GET)
    await client.until('\r\n\r\nx')

    client.socket.destroy()

    await eventually(() => target.sockets.size === 0, 'the connection to the target stays')
    await gateway.idle()
  }
)

conforms(
  'HttpForwarderTests.ResponseBodyCancelled_502',
  'a response that comes after the client has left goes nowhere, and blames nobody',
  async (t) => {
    const target = await startRecordingTarget(t, async (socket) => {
      client.socket.destroy()
      await once(client.socket, 'close')
      socket.write(`${HEAD}x`)
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(GET)

    await eventually(() => target.connections() === 1 && target.sockets.size === 0, 'the connection stays')
    await gateway.idle()
    assert.equal(gateway.app.balancers.get('users').targets[0]?.fails, 0)
  }
)

conforms(
  'HttpForwarderTests.ResponseBodyDisableBuffering_Success',
  'a byte of a response is not held back for the next one',
  async (t) => {
    const target = await startRecordingTarget(t, (socket) => socket.write(`${HEAD}x`))
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(GET)

    await client.until('\r\n\r\nx')
  }
)

conforms(
  'HttpForwarderTests.RequestFailure_ResponseTransformsAreCalled',
  'layers see the answer that takes the place of a failed request',
  async (t) => {
    const seen: unknown[] = []
    const gateway = await startGateway(t, [`http://127.0.0.1:${await freePort()}`], {
      prepare: (app) => {
        app.addHook('onSend', async (_request, reply, payload) => {
          seen.push(reply.statusCode, JSON.parse(String(payload)).code)
        })
      }
    })

    await send(gateway.port)

    assert.deepEqual(seen, [502, 'FST_GATEWAY_CONNECT_FAILED'])
  }
)

differs(
  'HttpForwarderTests.RequestFailure_ResponseTransformsAreCalled (failure in a request transform)',
  'a hook that fails on the way in is a 500',
  'it is the fault of the gateway, and a 502 would blame the target',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onRequest', async () => {
          throw new Error('not today')
        })
      }
    })

    assert.equal((await send(gateway.port)).status, 500)
    assert.equal(target.requests.length, 0)
  }
)

conforms('ForwarderMiddlewareTests.NoDestinations_503', 'an upstream without targets is a 503', async (t) => {
  const gateway = await startGateway(t, [])

  assertError(await send(gateway.port), 503, 'FST_GATEWAY_NO_TARGET')
})

conforms(
  'LoadBalancerMiddlewareTests.Invoke_WithoutDestinations_503',
  'an upstream whose targets are all down is a 503',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [{ url: target.url, down: true }])

    assertError(await send(gateway.port), 503, 'FST_GATEWAY_NO_TARGET')
    assert.equal(target.connections(), 0)
  }
)

conforms(
  'PassiveHealthCheckTests.PassiveHealthChecksEnabled_MultipleDestinationFailures_ProxyReturnsServiceUnavailable',
  'targets that have failed so often are not asked any more, and the answer is 503',
  async (t) => {
    const targets = []
    for (let i = 0; i < 2; i++) {
      const { url } = await startRawTarget(t, (socket) => socket.resetAndDestroy())
      targets.push({ url, maxFails: 2, failTimeout: '1m' })
    }
    const gateway = await startGateway(t, targets, { upstream: { retry: { attempts: 0 } } })

    const statuses = []
    for (let i = 0; i < 6; i++) statuses.push((await send(gateway.port)).status)

    assert.deepEqual(statuses, [502, 502, 502, 502, 503, 503])
  }
)

differs(
  'PassiveHealthCheckTests.PassiveHealthChecksEnabled_MultipleDestinationFailures_ProxyReturnsServiceUnavailable',
  'the only target of an upstream is asked again, however often it has failed',
  'there is no better choice; nginx does the same',
  async (t) => {
    const { url } = await startRawTarget(t, (socket) => socket.resetAndDestroy())
    const gateway = await startGateway(t, [{ url, maxFails: 1, failTimeout: '1m' }])

    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push((await send(gateway.port)).status)

    assert.deepEqual(statuses, [502, 502, 502])
  }
)

conforms(
  'PassiveHealthCheckTests.PassiveHealthChecksEnabled_IncompleteClientRequests_ProxyHealthIsUnaffected',
  'clients that leave put no target out of service',
  async (t) => {
    const clients: RawClient[] = []
    const target = await startRecordingTarget(t, (socket, { head }) => {
      if (head.startsWith('GET /last ')) socket.write('HTTP/1.1 418 Tea\r\ncontent-length: 0\r\n\r\n')
      else clients.at(-1)?.socket.destroy()
    })
    const gateway = await startGateway(t, [target.url])

    for (let i = 0; i < 12; i++) {
      clients.push(new RawClient(t, gateway.port))
      clients.at(-1)?.write(GET)
      await eventually(() => target.requests.length === i + 1, 'nothing arrives')
      await gateway.idle()
    }

    assert.equal((await send(gateway.port, { path: '/last' })).status, 418)
  }
)
