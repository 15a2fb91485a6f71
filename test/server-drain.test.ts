import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { drain } from '../plugins/server/index.ts'
import { always, eventually, RawClient } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'
import { connectFrames, errorCode, GOAWAY, headers, NO_ERROR, pseudo } from './http2-frames-helper.ts'
import { startServer } from './server-helper.ts'

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

test('a server that drains takes no connections, and serves those that stand once more', async (t) => {
  const { url } = await startRawTarget(t, always(ANSWER).onSocket)
  const { app, port } = await startServer(t, [url])
  let accepted = 0
  app.server.on('connection', () => accepted++)
  const [used, fresh] = [new RawClient(t, port), new RawClient(t, port)]
  used.write(REQUEST)
  const first = await used.until('ok')
  await eventually(() => accepted === 2, 'a connection was not accepted')

  const drained = drain(app.server, 60_000)
  const refused = await refusal(port)
  used.write(REQUEST)
  fresh.write(REQUEST)
  const [second, only] = [(await used.end()).slice(first.length), await fresh.end()]
  await drained

  assert.equal(refused, 'ECONNREFUSED')
  assert.doesNotMatch(first, /connection: close/i)
  for (const answer of [second, only]) assert.match(answer, /^HTTP\/1\.1 200 .*\r\nconnection: close\r\n.*ok$/is)
})

test('a client of HTTP/2 is told to leave, and its requests under way are answered', async (t) => {
  const sockets: (() => void)[] = []
  const { url } = await startRawTarget(t, (socket) => sockets.push(() => socket.write(ANSWER)))
  const { app, port } = await startServer(t, [url])
  const client = connectFrames(t, port)
  client.send(headers(1, pseudo('GET', '/', 'a.test')))
  await eventually(() => sockets.length === 1, 'the request did not arrive')

  const drained = drain(app.server, 60_000)
  const goaway = await client.frame(GOAWAY)
  for (const answer of sockets) answer()
  const body = await client.body(1)
  await client.end()
  await drained

  assert.equal(errorCode(goaway), NO_ERROR)
  assert.equal(body, 'ok')
})

test('what clients keep open does not keep a server from draining longer than it may', async (t) => {
  const { app, port } = await startServer(t, ['http://127.0.0.1:1'])
  const idle = new RawClient(t, port)
  idle.write('GET / HTTP/1.1\r\n')
  await new Promise((resolve) => app.server.once('connection', resolve))

  await drain(app.server, 20)

  assert.equal(idle.closed, 'no')
})

function refusal(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve('connected'))
    socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.message))
  })
}
