import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import {
  always,
  assertError,
  eventually,
  foreignHook,
  RawClient,
  script,
  send,
  startGateway,
  valuesOf
} from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'

const MIB = 1024 * 1024
const PIECE = Buffer.alloc(64 * 1024, 'x')

for (const hooked of [false, true]) {
  const way = hooked ? 'with an onSend hook' : 'without hooks'
  const sketch = hooked ? { prepare: foreignHook } : {}

  test(`64 MiB come down whole without being held in memory ${way}`, async (t) => {
    let written = 0
    let received = 0
    let held = 0
    const { url } = await startTarget(t, async (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' })
      while (written < 64 * MIB) {
        written += PIECE.length
        held = Math.max(held, written - received)
        if (!response.write(PIECE)) await once(response, 'drain')
      }
      response.end()
    })
    const gateway = await startGateway(t, [url], sketch)

    await new Promise<void>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: gateway.port, agent: false }, (response) => {
        response.on('data', (chunk: Buffer) => {
          received += chunk.length
        })
        response.on('end', () => resolve())
      })
      sent.on('error', reject)
      sent.end()
    })

    assert.equal(received, 64 * MIB)
    // What is on its way, the buffers of the system included; memory itself also counts what is not collected yet.
    assert.ok(held < 32 * MIB)
    await gateway.idle()
  })

  test(`bytes above 127 in a field stay as they are when the head comes before the body ${way}`, async (t) => {
    const sockets: Socket[] = []
    const target = script((socket) => {
      sockets.push(socket)
      socket.write('HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nTransfer-Encoding: chunked\r\n\r\n', 'latin1')
    })
    const { url } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)
    client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')

    const head = await client.until('\r\n\r\n')
    sockets[0]?.write('2\r\nok\r\n0\r\n\r\n')
    await client.until('\r\n0\r\n\r\n')

    assert.deepEqual(valuesOf(head, 'x-name'), ['caf\xe9'])
  })

  test(`a client that does not read makes the target wait ${way}`, async (t) => {
    let written = 0
    let waiting = false
    const { url } = await startTarget(t, async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      while (!response.destroyed && written < 256 * MIB) {
        written += PIECE.length
        if (response.write(PIECE)) continue
        waiting = true
        await Promise.race([once(response, 'drain'), once(response, 'close')])
        waiting = false
      }
    })
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)
    client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')
    await client.until('HTTP/1.1 200')

    client.socket.pause()
    await settled(() => written)

    assert.ok(waiting)
    assert.ok(written < 64 * MIB)
    client.socket.destroy()
    await gateway.idle()
  })

  test(`chunked, counted and endless bodies come down whole ${way}`, async (t) => {
    const heads: Record<string, string> = {
      '/counted': 'Content-Length: 11\r\n\r\nhello world',
      '/chunked': 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
      '/endless': 'Connection: close\r\n\r\nhello world'
    }
    const { url } = await startRawTarget(
      t,
      script((socket, head) => {
        const path = head.split(' ')[1] ?? ''
        socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${heads[path]}`)
        if (path === '/endless') socket.end()
      }).onSocket
    )
    const gateway = await startGateway(t, [url], sketch)

    for (const path of Object.keys(heads)) {
      const reply = await send(gateway.port, { path })

      assert.deepEqual([reply.status, reply.body.toString(), reply.complete], [200, 'hello world', true])
      // A small body goes through hooks in one piece, and then has a length.
      if (!hooked) assert.equal(reply.headers['content-length'], path === '/counted' ? '11' : undefined)
    }
  })

  test(`trailers come down ${way}`, async (t) => {
    const answer =
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n'
    const { url } = await startRawTarget(t, always(answer).onSocket)
    const gateway = await startGateway(t, [url], sketch)

    const reply = await send(gateway.port)

    assert.deepEqual([reply.body.toString(), reply.trailers, reply.headers.trailer], ['ok', ['X-Sum', '7'], 'X-Sum'])
  })

  test(`events arrive one by one, as they are sent ${way}`, async (t) => {
    const { url, sockets } = await startRawTarget(
      t,
      always('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n').onSocket
    )
    const gateway = await startGateway(t, [url], sketch)
    const client = new RawClient(t, gateway.port)
    client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')
    await client.until('\r\n\r\n')

    for (const word of ['one', 'two', 'three']) {
      const event = `data: ${word}\n\n`
      for (const socket of sockets) socket.write(`${event.length.toString(16)}\r\n${event}\r\n`)
      await client.until(event)
    }

    assert.doesNotMatch(client.text, /\r\n0\r\n/)
  })

  test(`an HTTP/1.0 client gets no chunks, and a cut answer is a reset ${way}`, async (t) => {
    const begun = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'
    const { url, sockets } = await startRawTarget(t, always(begun).onSocket)
    const gateway = await startGateway(t, [url], sketch)
    const whole = new RawClient(t, gateway.port)
    const cut = new RawClient(t, gateway.port)
    whole.write('GET / HTTP/1.0\r\nHost: gw.test\r\n\r\n')
    await whole.until('hello')
    for (const socket of sockets) socket.write('0\r\n\r\n')

    assert.match(await whole.end(), /\r\n\r\nhello$/)
    assert.equal(whole.closed, 'end')

    cut.write('GET / HTTP/1.0\r\nHost: gw.test\r\n\r\n')
    await cut.until('hello')
    for (const socket of sockets) socket.resetAndDestroy()
    await cut.end()

    assert.equal(cut.closed, 'reset')
  })

  test(`204 and HEAD have no body ${way}`, async (t) => {
    const target = script((socket, head) =>
      socket.write(head.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\n\r\n' : 'HTTP/1.1 204 No Content\r\n\r\n')
    )
    const { url } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url], sketch)

    const replies = [await send(gateway.port, { method: 'HEAD' }), await send(gateway.port)]

    assert.deepEqual(
      replies.map(({ status, body, complete }) => [status, body.length, complete]),
      [
        [200, 0, true],
        [204, 0, true]
      ]
    )
  })
}

test('64 MiB go up whole, at the pace of the target, without being held in memory', async (t) => {
  let written = 0
  let received = 0
  let held = 0
  const { url } = await startTarget(t, (incoming, response) => {
    incoming.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    incoming.on('end', () => response.end(String(received)))
  })
  const gateway = await startGateway(t, [url])

  const body = await new Promise<string>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: gateway.port, method: 'POST', agent: false }, (response) => {
      response.setEncoding('latin1').on('data', resolve)
    })
    sent.on('error', reject)
    const note = () => {
      written += PIECE.length
      held = Math.max(held, written - received)
    }
    upload(sent, 64 * MIB, note).catch(reject)
  })

  assert.equal(body, String(64 * MIB))
  assert.ok(held < 32 * MIB)
})

test('a target that does not read makes the client wait', async (t) => {
  const { url, sockets } = await startRawTarget(t, (socket) => socket.pause())
  const gateway = await startGateway(t, [url])
  const sent = request({ host: '127.0.0.1', port: gateway.port, method: 'POST', agent: false })
  sent.on('error', () => {})
  let written = 0
  const writeOn = () => {
    while (written < 64 * MIB) {
      written += PIECE.length
      if (!sent.write(PIECE)) return
    }
  }
  sent.on('drain', writeOn)

  writeOn()
  await settled(() => written)

  assert.ok(written < 32 * MIB)
  for (const socket of sockets) socket.resetAndDestroy()
  await gateway.idle()
  sent.destroy()
})

test('trailers of the client go up with a chunked body, without those that would change its meaning', async (t) => {
  let trailers: string[] = []
  const { url } = await startTarget(t, (incoming, response) => {
    incoming.resume().on('end', () => {
      trailers = incoming.rawTrailers
      response.end('ok')
    })
  })
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)

  client.write('POST / HTTP/1.1\r\nHost: gw.test\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n')
  client.write('2\r\nok\r\n0\r\nX-Sum: 7\r\nAuthorization: x\r\n\r\n')
  await client.until('HTTP/1.1 200')

  assert.deepEqual(trailers, ['X-Sum', '7'])
})

test('a body over server.bodyLimit is a 413, and announced ones reach no target', async (t) => {
  const target = script(() => {})
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url], { options: { server: { bodyLimit: 10 } } })
  const client = new RawClient(t, gateway.port)

  assertError(await send(gateway.port, { method: 'POST' }, 'x'.repeat(11)), 413, 'FST_GATEWAY_BODY_TOO_LARGE')
  assert.equal(target.heads.length, 0)

  client.write('POST / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n1\r\nx\r\n')
  assert.match(await client.until('FST_GATEWAY_BODY_TOO_LARGE'), /^HTTP\/1\.1 413 /)
  await gateway.idle()
})

test('a body of exactly server.bodyLimit passes', async (t) => {
  const { url } = await startTarget(t, (incoming, response) => incoming.pipe(response))
  const gateway = await startGateway(t, [url], { options: { server: { bodyLimit: 10 } } })

  for (const headers of [{ 'content-length': 10 }, { 'transfer-encoding': 'chunked' }]) {
    assert.equal((await send(gateway.port, { method: 'POST', headers }, '0123456789')).body.length, 10)
  }
})

test('a client that leaves in the middle of its body ends the attempt', async (t) => {
  const target = script(() => {})
  const { url, sockets } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])
  const client = new RawClient(t, gateway.port)
  client.write('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 100\r\n\r\nhalf')
  await eventually(() => target.heads.length === 1, 'the request does not arrive')

  client.socket.destroy()

  await eventually(() => sockets.size === 0, 'the target connection stays open')
  await gateway.idle()
})

async function upload(sent: ReturnType<typeof request>, bytes: number, note: () => void): Promise<void> {
  for (let left = bytes; left > 0; left -= PIECE.length) {
    note()
    if (!sent.write(PIECE)) await once(sent, 'drain')
  }
  sent.end()
}

/** Resolves once a number has not changed for 2,000 turns of the event loop. */
async function settled(read: () => number): Promise<void> {
  let last = -1
  for (let same = 0; same < 2_000; same++) {
    if (read() !== last) same = 0
    last = read()
    await new Promise((resolve) => setImmediate(resolve))
  }
}
