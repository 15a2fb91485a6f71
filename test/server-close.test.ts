import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually, RawClient, script } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'
import {
  connectFrames,
  errorCode,
  frame,
  GOAWAY,
  HEADERS,
  headers,
  NO_ERROR,
  PING,
  pseudo
} from './http2-frames-helper.ts'
import { startServer } from './server-helper.ts'

/** A gateway before a target that answers when it is told to. */
async function stage(t: TestContext) {
  const waiting: Socket[] = []
  const { heads, onSocket } = script((socket) => waiting.push(socket))
  const { url } = await startRawTarget(t, onSocket)
  const server = await startServer(t, [url])
  return {
    ...server,
    arrived: (count: number) => eventually(() => heads.length === count, `${heads.length} requests arrived`),
    answer() {
      for (const socket of waiting) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
    }
  }
}

test('when the server closes, requests under way are answered, no further ones taken, and the connection ends', async (t) => {
  const { app, port, arrived, answer } = await stage(t)
  const client = connectFrames(t, port)
  client.send(headers(1, pseudo('GET', '/', 'a.test')))
  await arrived(1)

  const closed = app.close()
  const goaway = await client.frame(GOAWAY)
  client.send(headers(3, pseudo('GET', '/late', 'a.test')), frame(PING, 0, 0, '12345678'))
  await client.frame(PING)
  answer()
  const body = await client.body(1)
  await client.end()
  await closed

  assert.equal(errorCode(goaway), NO_ERROR)
  assert.equal(goaway.payload.readUInt32BE(0), 1, 'the last stream that will be answered')
  assert.equal(body, 'done')
  assert.equal(
    client.frames.some(({ type, id }) => type === HEADERS && id === 3),
    false
  )
})

test('connections without a request do not keep the server from closing, whatever they have said', async (t) => {
  const { app, port, arrived, answer } = await stage(t)
  const silent = new RawClient(t, port)
  const undecided = new RawClient(t, port)
  const idle = connectFrames(t, port)
  const kept = new RawClient(t, port)
  undecided.write('PRI')
  kept.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  await arrived(1)
  answer()
  await kept.until('done')
  await idle.frame(4, 0)

  await app.close()

  await Promise.all([silent.end(), undecided.end(), kept.end(), idle.end()])
  assert.equal(await idle.goaway(), NO_ERROR)
})

test('closeAllConnections cuts those of both protocols', async (t) => {
  const { app, port, arrived } = await stage(t)
  const old = new RawClient(t, port)
  const recent = connectFrames(t, port)
  old.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  recent.send(headers(1, pseudo('GET', '/', 'a.test')))
  await arrived(2)

  const closed = app.close()
  app.server.closeAllConnections()
  await Promise.all([old.end(), recent.end(), closed])

  assert.equal(old.text, '')
  assert.equal(
    recent.frames.some(({ type }) => type === HEADERS),
    false
  )
})

test('closeIdleConnections leaves a connection of HTTP/2 with a request alone', async (t) => {
  const { app, port, arrived, answer } = await stage(t)
  const busy = connectFrames(t, port)
  const idle = connectFrames(t, port)
  busy.send(headers(1, pseudo('GET', '/', 'a.test')))
  await arrived(1)
  await idle.frame(4, 0)

  app.server.closeIdleConnections()
  await idle.end()
  answer()
  const body = await busy.body(1)

  assert.equal(body, 'done')
  assert.equal(busy.closed, 'no')
})
