import assert from 'node:assert/strict'
import type { OutgoingHttpHeaders } from 'node:http2'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { eventually, valuesOf } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'
import { CANCEL, connectFrames, data, END_HEADERS, headers, pseudo, rstStream } from './http2-frames-helper.ts'
import { readReply, sendHttp2, startHttp2Gateway } from './http2-helper.ts'
import { OK, startRecordingTarget, unframed } from './recording-target.ts'

const POST = { ':method': 'POST', ':path': '/' }

conformsEach(
  "h2_proxy_request_buffering.t, h2_proxy_request_buffering_ssl.t 'part', 'part 2' and 'response' of 'request', 'many', 'empty', 'buffer', 'split' and the same chunked",
  'a piece of a body goes out before the next one comes',
  [
    { length: true, pieces: ['01234', '56789'] },
    { length: false, pieces: ['01234', '56789'] },
    { length: true, pieces: ['0123'.repeat(128), '4567'.repeat(128), '89AB'.repeat(128)] },
    { length: false, pieces: ['0123'.repeat(128), '4567'.repeat(128), '89AB'.repeat(128)] },
    { length: true, pieces: [] },
    { length: false, pieces: [] }
  ].flatMap((row) => [false, true].map((tls) => ({ ...row, tls }))),
  ({ length, pieces, tls }) => `${pieces.length} pieces${length ? ' with a length' : ''}${tls ? ' over TLS' : ''}`,
  async (t, { length, pieces, tls }) => {
    let arrived = ''
    let answer = (): unknown => undefined
    const target = await startRawTarget(t, (socket) => {
      answer = () => socket.write(OK)
      socket.on('data', (chunk) => {
        arrived += chunk.toString('latin1')
      })
    })
    const gateway = await startHttp2Gateway(t, [target.url], { tls })
    const total = pieces.join('').length
    const fields: OutgoingHttpHeaders = length ? { ...POST, 'content-length': total } : POST
    const stream = gateway.connect().request(fields)
    const reply = readReply(stream)

    let expected = ''
    for (const piece of pieces) {
      stream.write(piece)
      expected += length ? piece : `${piece.length.toString(16)}\r\n${piece}\r\n`
      await eventually(() => bodyOf(arrived) === expected, `not sent on: ${piece.slice(0, 9)}`)
    }
    stream.end()
    if (!length) expected += '0\r\n\r\n'
    await eventually(() => arrived.includes('\r\n\r\n') && bodyOf(arrived) === expected, 'the end does not come')
    answer()

    assert.equal((await reply).status, 200)
  }
)

differs(
  "h2_proxy_request_buffering.t 'much', 'less'; h2_request_body.t 'request body less than content-length', 'request body more than content-length'",
  'a stream whose DATA does not add up to its content-length is reset, and the target never sees a whole body',
  'RFC 9113, section 8.1.1 makes it a malformed request, and that a stream error; nghttp2 sees to it',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url])

    for (const body of ['0123456789many', '0123']) {
      const reply = await sendHttp2(gateway.connect(), { ...POST, 'content-length': '10' }, body)

      assert.ok(reply.status === 400 || reply.code !== 0, `${reply.status} ${reply.code}`)
    }
    assert.equal(target.requests.length, 0)
    await gateway.idle()
  }
)

conforms(
  "h2_proxy_request_buffering.t 'chunked abort'",
  'a stream that its client resets takes the request back',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url])
    // The client of Node.js ends a stream before it resets it.
    const client = connectFrames(t, gateway.port)
    client.send(headers(1, pseudo('POST', '/', 'a.test'), END_HEADERS), data(1, 'part'))
    await eventually(() => target.connections() === 1, 'nothing is sent')

    client.send(rstStream(1, CANCEL))

    await eventually(() => target.sockets.size === 0, 'the target is not told')
    assert.equal(target.requests.length, 0)
  }
)

conformsEach(
  "h2_request_body.t 'request body', 'request body in multiple frames', 'request body in multiple frames separately', 'big request body', 'request body without content-length'; h2_request_body_extra.t",
  'a body of HTTP/2 arrives as it was sent',
  [1, 128, 8_192].flatMap((times) => [true, false].map((length) => ({ times, length }))),
  ({ times, length }) => `${times * 10} bytes${length ? ' with a length' : ''}`,
  async (t, { times, length }) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url])
    const body = '0123456789'.repeat(times)
    const fields: OutgoingHttpHeaders = length ? { ...POST, 'content-length': body.length } : POST

    assert.equal((await sendHttp2(gateway.connect(), fields, body)).status, 200)

    const [request] = target.requests
    assert.ok(request !== undefined && unframed(request) === body)
    assert.deepEqual(valuesOf(request.head, 'content-length'), length ? [String(body.length)] : [])
  }
)

conforms(
  "h2_request_body.t 'request body - empty', 'request without body'; h2_proxy_ssl.t 'empty request body'",
  'an empty body and none at all arrive as such',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url])
    const session = gateway.connect()

    await sendHttp2(session, { ...POST, 'content-length': '0' }, '')
    await sendHttp2(session, { ':path': '/' })

    const lengths = target.requests.map(({ head }) => valuesOf(head, 'content-length'))
    assert.deepEqual(lengths, [['0'], []])
  }
)

conforms(
  "h2_request_body.t 'request body discarded - zero RST_STREAM'",
  'an answer before the end of an upload is followed by a reset without an error',
  async (t) => {
    const target = await startRawTarget(t, (socket) => socket.once('data', () => socket.end(OK)))
    const gateway = await startHttp2Gateway(t, [target.url])
    const stream = gateway.connect().request(POST)
    stream.write('half')

    const reply = await readReply(stream)

    assert.deepEqual([reply.status, reply.body.toString(), reply.code], [200, 'ok', 0])
  }
)

conformsEach(
  "h2_request_body.t 'client_max_body_size - limited', 'request body without content-length - limited'",
  'a body above the limit is a 413',
  [true, false],
  (length) => (length ? 'with a length' : 'without a length'),
  async (t, length) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url], { options: { server: { bodyLimit: 8 } } })
    const fields: OutgoingHttpHeaders = length ? { ...POST, 'content-length': 10 } : POST

    assert.equal((await sendHttp2(gateway.connect(), fields, '0123456789')).status, 413)
    assert.equal(target.requests.length, 0)
  }
)

function bodyOf(text: string): string {
  const end = text.indexOf('\r\n\r\n')
  return end < 0 ? '' : text.slice(end + 4)
}
