import assert from 'node:assert/strict'
import { setTimeout as after } from 'node:timers/promises'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { assertError, eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { freePort, startRawTarget, startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'

const NONE = { connect: 0, response: 0, idle: 0, total: 0 }
const POST = 'POST / HTTP/1.1\r\nHost: gw.test\r\n'

conforms('HttpForwarderTests.UnableToConnect_Returns502', 'a refused connection is a 502', async (t) => {
  const gateway = await startGateway(t, [`http://127.0.0.1:${await freePort()}`])

  assertError(await send(gateway.port), 502, 'FST_GATEWAY_CONNECT_FAILED')
})

conforms('HttpForwarderTests.UnableToConnectWithBody_Returns502', 'with a body to send it is a 502, too', async (t) => {
  const gateway = await startGateway(t, [`http://127.0.0.1:${await freePort()}`])

  assertError(await send(gateway.port, { method: 'POST' }, 'x'), 502, 'FST_GATEWAY_CONNECT_FAILED')
})

conforms(
  'HttpForwarderTests.RequestTimedOut_Returns504',
  'a target that does not answer in time is a 504',
  async (t) => {
    const target = await startRecordingTarget(t, () => {})
    const gateway = await startGateway(t, [target.url], { upstream: { timeouts: { ...NONE, response: 50 } } })

    assertError(await send(gateway.port), 504, 'FST_GATEWAY_RESPONSE_TIMEOUT')
    await eventually(() => target.sockets.size === 0, 'the connection stays open')
  }
)

conforms('HttpForwarderTests.RequestWithBodyTimedOut_Returns504', 'with a body it is a 504, too', async (t) => {
  const target = await startRecordingTarget(t, () => {})
  const gateway = await startGateway(t, [target.url], { upstream: { timeouts: { ...NONE, response: 50 } } })

  assertError(await send(gateway.port, { method: 'POST' }, 'x'), 504, 'FST_GATEWAY_RESPONSE_TIMEOUT')
})

conforms(
  'HttpForwarderTests.RequestConnectTimedOut_Returns504',
  'a connection that does not come about is a 504',
  async (t) => {
    // The handshake of TLS is part of the connection.
    const target = await startRawTarget(t, () => {})
    const upstream = { timeouts: { ...NONE, connect: 50 } }
    const gateway = await startGateway(t, [target.url.replace('http:', 'https:')], { upstream })

    assertError(await send(gateway.port), 504, 'FST_GATEWAY_CONNECT_TIMEOUT')
  }
)

conforms(
  'HttpForwarderTests.RequestWithBody_KeptAliveByActivity',
  'a body that comes slowly, but comes, takes longer than the timeout',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], { upstream: { timeouts: { ...NONE, idle: 500 } } })
    const client = new RawClient(t, gateway.port)

    client.write(`${POST}Content-Length: 8\r\n\r\n`)
    for (let i = 0; i < 8; i++) {
      await after(80)
      client.write('x')
    }

    await client.until('\r\n\r\nok')
    assert.equal(target.requests[0]?.body, 'xxxxxxxx')
  }
)

differs(
  'HttpForwarderTests.RequestCanceled_Returns400',
  'a client that left gets nothing, is logged as 499, and no target is blamed',
  'there is nobody to get a status; 499 is what logs and metrics of nginx call it',
  async (t) => {
    const lines: string[] = []
    const target = await startRecordingTarget(t, () => client.socket.destroy())
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onRequest', async (request) => {
          request.log.info = (...details: unknown[]) => {
            lines.push(JSON.stringify(details))
          }
        })
      }
    })
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')

    await eventually(() => lines.some((line) => line.includes('"status":499')), 'it is not logged')
    await eventually(() => target.sockets.size === 0, 'the target is not told')
    assert.equal(gateway.app.balancers.get('users').targets[0]?.fails, 0)
  }
)

conformsEach(
  'HttpForwarderTests.RequestWithBodyCanceled_Returns400, RequestBodyCanceledBeforeResponseError_Returns502',
  'a client that leaves while it sends its body takes the request back',
  ['Content-Length: 9\r\n\r\nxxx', 'Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n'],
  (body) => body.slice(0, body.indexOf(':')),
  async (t, body) => {
    let complete: boolean | undefined
    const target = await startTarget(t, (request) => {
      request.resume().on('close', () => {
        complete = request.complete
      })
      request.once('data', () => client.socket.destroy())
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${POST}${body}`)

    await eventually(() => complete !== undefined, 'the target is not told')
    await gateway.idle()
    assert.equal(complete, false)
  }
)

differs(
  'HttpForwarderTests.ForwarderCancellations_CancellationsAreVisibleInTransforms',
  'a layer on its way in is not interrupted when the client leaves; its next() rejects, and no target is asked',
  'JavaScript cannot interrupt code that waits; what it waited for may have effects',
  async (t) => {
    const rejections: unknown[] = []
    let go = () => {}
    const waits = new Promise<void>((resolve) => {
      go = resolve
    })
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], {
      layers: [
        async function waiting({ request }, next) {
          client.socket.destroy()
          request.raw.on('close', () => go())
          await waits
          await next().catch((error) => rejections.push(error.code))
        }
      ]
    })
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')

    await eventually(() => rejections.length === 1, 'the layer is not told')
    assert.deepEqual(rejections, ['FST_GATEWAY_CLIENT_CLOSED'])
    assert.equal(target.connections(), 0)
  }
)
