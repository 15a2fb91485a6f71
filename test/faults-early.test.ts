import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { test } from 'node:test'
import { nextReply } from './faults-helper.ts'
import { foreignHook, RawClient, script, startGateway } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'

const BIG = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig'
const UPLOAD = 'POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 10000000\r\n\r\n'

for (const hooked of [false, true]) {
  const way = hooked ? 'with an onSend hook' : 'without hooks'
  const sketch = hooked ? { prepare: foreignHook } : {}

  test(`an early answer arrives, though the target resets the rest of the upload ${way}`, async (t) => {
    const target = script((socket) => {
      socket.pause()
      socket.write(BIG, () => socket.resetAndDestroy())
    })
    const { url } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const sent = request({ host: '127.0.0.1', port: gateway.port, method: 'POST', agent: false })
    const answered = once(sent, 'response')
    const writeOn = () => {
      while (sent.write(Buffer.alloc(64 * 1024)));
    }
    sent.on('drain', writeOn)

    writeOn()
    const [response] = await answered

    assert.equal(response.statusCode, 413)
    sent.destroy()
    await gateway.idle()
  })
}

test('an error within an upload reaches a client that goes on sending, and what it still sends is no request', async (t) => {
  const target = script((socket) => socket.pause().resetAndDestroy())
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write(UPLOAD)
  client.write(Buffer.alloc(10_000_000))
  client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')
  const { status, head, body } = await nextReply(client)
  await client.end()

  assert.equal(status, 502)
  assert.match(head, /\r\nconnection: close/i)
  assert.equal(JSON.parse(body).code, 'FST_GATEWAY_TARGET_CLOSED')
  assert.deepEqual([client.closed, client.text, target.heads.length], ['end', '', 1])
  await gateway.idle()
})

test('a client that neither finishes its upload nor leaves after an early answer is cut off by timeouts.idle', async (t) => {
  const { url } = await startRawTarget(t, script((socket) => socket.write(BIG)).onSocket)
  const gateway = await startGateway(t, [url], { upstream: { timeouts: { idle: 100 } } })
  const client = new RawClient(t, gateway.port)

  client.write(UPLOAD)
  const { status, head } = await nextReply(client)
  const start = performance.now()
  await client.end()

  assert.equal(status, 413)
  assert.doesNotMatch(head, /\r\nconnection: close/i)
  assert.ok(performance.now() - start >= 90)
})
