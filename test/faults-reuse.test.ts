import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RawClient, script, send, startGateway } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const BIG = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig'

const requests = {
  GET: 'GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n',
  POST: 'POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 4\r\n\r\nbody',
  'POST without a body': 'POST / HTTP/1.1\r\nHost: gw.test\r\n\r\n',
  'POST of unknown length':
    'POST / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n'
}

for (const [name, bytes] of Object.entries(requests)) {
  for (const unsolicited of [false, true]) {
    const what = unsolicited ? 'writes out of turn' : 'closes its idle connection'
    test(`${name} succeeds when the target ${what} at the moment of its arrival`, async (t) => {
      const seen: string[] = []
      const { url, sockets } = await startTarget(t, (incoming, response) => {
        let body = ''
        incoming.on('data', (chunk) => {
          body += chunk
        })
        incoming.on('end', () => {
          seen.push(`${incoming.method} ${body}`)
          response.end('ok')
        })
      })
      const gateway = await startGateway(t, [url], { upstream: { retry: { attempts: 0 } } })
      const client = new RawClient(t, gateway.port)
      client.write(requests.GET)
      await client.until('\r\n\r\nok')
      client.text = ''
      const [first] = sockets

      // Both are with the system before the event loop asks it for news: first the request, then the end.
      client.write(bytes)
      for (const socket of sockets) {
        if (unsolicited) socket.write(BIG)
        else socket.destroy()
      }
      const text = await client.until('\r\n\r\nok')

      assert.match(text, /^HTTP\/1\.1 200 /)
      assert.equal(seen.length, 2)
      // Whatever else came on the old connection could have passed for the answer.
      assert.ok(sockets.size === 1 && first !== undefined && !sockets.has(first))
    })
  }
}

test('a connection on which POST was answered serves the next POST', async (t) => {
  const target = script((socket) => socket.write(OK))
  let connections = 0
  const { url } = await startRawTarget(t, (socket) => {
    connections++
    target.onSocket(socket)
  })
  const gateway = await startGateway(t, [url])

  await send(gateway.port, { method: 'POST' })
  await send(gateway.port, { method: 'POST' })

  assert.deepEqual([target.heads.length, connections], [2, 1])
})
