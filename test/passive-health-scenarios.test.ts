import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

/** YARP PassiveHealthCheckTests, IncompleteClientRequests. */
for (const { name, bytes, leave } of [
  {
    name: 'leaves within its upload',
    bytes: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc',
    leave: (client: RawClient) => client.socket.destroy()
  },
  {
    name: 'resets its connection before the answer',
    bytes: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    leave: (client: RawClient) => client.socket.resetAndDestroy()
  },
  {
    name: 'sends a malformed body',
    bytes: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    leave: (client: RawClient) => client.write('zz\r\n\r\n')
  }
]) {
  test(`passive-client-abort (YARP PassiveHealthCheckTests): a client that ${name} is not held against the target`, async (t) => {
    let arrived = 0
    const target = await startTarget(t, (request, response) => {
      arrived++
      request.on('error', () => {})
      if (request.url === '/after') response.end('ok')
    })
    const { app, port, idle } = await startGateway(t, [
      { url: target.url, maxFails: 1 },
      { url: 'http://127.0.0.1:9', down: true }
    ])
    const [first] = app.balancers.get('users').targets

    for (let times = 1; times <= 3; times++) {
      const client = new RawClient(t, port)
      client.write(bytes)
      await eventually(() => arrived === times, 'the request does not arrive')
      leave(client)
      await idle()
    }

    assert.equal(first?.fails, 0)
    assert.equal((await send(port, { path: '/after' })).body.toString(), 'ok')
  })
}
