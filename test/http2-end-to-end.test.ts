import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from './forwarding-helper.ts'
import { connectHttp2, plain, readReply, sendHttp2 } from './http2-helper.ts'
import { startServer } from './server-helper.ts'

type Answer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** A client and a target that both speak HTTP/2, and the gateway between them. */
async function stage(t: TestContext, answer: Answer) {
  const target = createServer()
  let sessions = 0
  target.on('session', () => sessions++)
  target.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    answer(stream, headers)
  })
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}`
  const gateway = await startServer(t, [url], { upstream: { http2: true } })
  const session = connectHttp2(gateway.port)
  t.after(() => {
    session.destroy()
    target.close()
  })
  return { ...gateway, session, sessions: () => sessions }
}

test('fields, body and trailers pass both ways', async (t) => {
  let fields: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders = {}
  const { session } = await stage(t, (stream, headers) => {
    fields = plain(headers)
    stream.on('trailers', (received) => {
      trailers = plain(received)
    })
    stream.respond({ ':status': 201, 'set-cookie': ['a=1', 'b=2'], 'x-list': ['1', '2'] }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '2' }))
    stream.pipe(stream)
  })

  const stream = session.request(
    { ':method': 'POST', ':path': '/a?b', ':authority': 'a.test', te: 'trailers', cookie: ['c=1', 'd=2'] },
    { waitForTrailers: true, endStream: false }
  )
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }))
  stream.end('there and back')
  const reply = await readReply(stream)

  assert.deepEqual(fields, {
    ':method': 'POST',
    ':scheme': 'http',
    ':authority': 'a.test',
    ':path': '/a?b',
    te: 'trailers',
    cookie: 'c=1; d=2',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'a.test',
    via: '2 fastify-gateway'
  })
  assert.deepEqual(trailers, { 'x-sum': '1' })
  assert.equal(reply.status, 201)
  assert.deepEqual(reply.headers['set-cookie'], ['a=1', 'b=2'])
  assert.equal(reply.headers['x-list'], '1, 2')
  assert.equal(String(reply.body), 'there and back')
  assert.deepEqual(reply.trailers, { 'x-sum': '2' })
})

test('a hundred requests at once are a hundred streams on one connection each way', async (t) => {
  const { session, sessions } = await stage(t, (stream, headers) => stream.end(headers[':path']))
  // The first finds out how many streams the target takes.
  await sendHttp2(session, { ':path': '/0' })

  const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => sendHttp2(session, { ':path': `/${i}` })))

  assert.ok(replies.every(({ body }, i) => String(body) === `/${i}`))
  assert.equal(sessions(), 1)
})

test('a target that resets its stream resets that of the client, and no other', async (t) => {
  const { session, idle } = await stage(t, (stream, headers) => {
    if (headers[':path'] === '/whole') stream.end('whole')
    else stream.write('half', () => stream.destroy(new Error('broken')))
  })

  const cut = await sendHttp2(session, { ':path': '/cut' })
  const whole = await sendHttp2(session, { ':path': '/whole' })
  await idle()

  assert.equal(cut.status, 200)
  assert.equal(cut.code, constants.NGHTTP2_INTERNAL_ERROR)
  assert.equal(String(whole.body), 'whole')
})

test('a client that cancels has its stream at the target cancelled within 100 ms, and no other', async (t) => {
  let code = 0
  const { session, idle, sessions } = await stage(t, (stream, headers) => {
    if (headers[':path'] === '/whole') {
      stream.end('whole')
      return
    }
    stream.on('close', () => {
      code = stream.rstCode
    })
    stream.write('half')
  })
  const stream = session.request({ ':path': '/left' })
  stream.on('error', () => {})
  await once(stream, 'data')

  const start = performance.now()
  stream.close(constants.NGHTTP2_CANCEL)
  await eventually(() => code !== 0, 'the target is not told')
  const noticed = performance.now() - start
  const whole = await sendHttp2(session, { ':path': '/whole' })
  await idle()

  assert.equal(code, constants.NGHTTP2_CANCEL)
  assert.ok(noticed < 100, `it took ${noticed} ms`)
  assert.equal(String(whole.body), 'whole')
  assert.equal(sessions(), 1)
})

test('when the server closes, streams under way reach their end on both sides', async (t) => {
  let finish = () => {}
  const { app, session } = await stage(t, (stream) => {
    stream.write('first ')
    finish = () => stream.end('last')
  })
  const stream = session.request({ ':path': '/' })
  const reading = readReply(stream)
  await once(stream, 'data')

  const closed = app.close()
  await once(session, 'goaway')
  finish()
  const [reply] = await Promise.all([reading, closed])

  assert.equal(String(reply.body), 'first last')
  assert.equal(reply.code, 0)
})
