import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { eventually, RawClient, script } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'
import { connectFrames, errorCode, GOAWAY, headers, NO_ERROR, pseudo } from './http2-frames-helper.ts'
import { startServer } from './server-helper.ts'

const EMPTY = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const SLOW = 'GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n'
const SERVER = { maxConnectionAge: '50ms', keepAliveTimeout: '60s' }

/** A gateway whose connections become old without jitter, before a target that answers `/slow` when told. */
async function start(t: TestContext, server: object = SERVER) {
  t.mock.method(Math, 'random', () => 0)
  let finish = () => {}
  const { heads, onSocket } = script((socket, head) => {
    if (head.includes('/slow')) finish = () => socket.write(EMPTY)
    else socket.write(EMPTY)
  })
  const { url } = await startRawTarget(t, onSocket)
  const { port } = await startServer(t, [url], { server })
  /** Resolves once connections are old that stand now. */
  const age = async () => {
    const later = connectFrames(t, port)
    later.send(headers(1, pseudo('GET', '/', 'a.test')))
    await later.goaway()
  }
  return { port, heads, age, finish: () => finish() }
}

test('an exchange under way when its connection of HTTP/1.1 becomes too old is the last one there', async (t) => {
  const { port, heads, age, finish } = await start(t)
  const client = new RawClient(t, port)

  client.write(GET)
  const first = await client.until('\r\n\r\n')
  client.write(SLOW)
  await eventually(() => heads.length === 2, 'the request does not arrive')
  await age()
  finish()
  const text = await client.end()

  assert.doesNotMatch(first, /^connection: close/im)
  assert.match(text.slice(first.length), /^HTTP\/1\.1 200 OK\r\n.*connection: close\r\n/is)
  assert.equal(client.closed, 'end')
})

for (const [what, request] of [
  ['request', GET],
  [
    'request that expects 100-continue',
    'POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na'
  ]
] as const) {
  test(`on an idle connection of HTTP/1.1 that is too old, a ${what} is answered, and no other`, async (t) => {
    const { port, age } = await start(t)
    const client = new RawClient(t, port)

    client.write(GET)
    const first = await client.until('\r\n\r\n')
    await age()
    assert.equal(client.closed, 'no')
    client.write(request)
    const text = await client.end()

    assert.match(text.slice(first.length), /HTTP\/1\.1 200 OK\r\n.*connection: close\r\n/is)
  })
}

test('a connection of HTTP/2 that becomes too old is told so twice, and ends with its last answer', async (t) => {
  const { port, heads, finish } = await start(t)
  const client = connectFrames(t, port)
  const goaways = () => client.frames.filter(({ type }) => type === GOAWAY)

  client.send(headers(1, pseudo('GET', '/slow', 'a.test')))
  await eventually(() => heads.length === 1, 'the request does not arrive')
  await eventually(() => goaways().length === 2, 'there are not two GOAWAY')
  assert.equal(client.closed, 'no')
  finish()
  assert.equal(await client.status(1), 200)
  await client.end()

  const told = goaways()
    .slice(0, 2)
    .map((frame) => [frame.payload.readUInt32BE(0), errorCode(frame)])
  assert.deepEqual(told, [
    [2 ** 31 - 1, NO_ERROR],
    [1, NO_ERROR]
  ])
})
