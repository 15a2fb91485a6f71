import assert from 'node:assert/strict'
import { conformsEach } from './conformance-helper.ts'
import { MODES, modeOf } from './conformance-modes.ts'
import { send, startGateway } from './forwarding-helper.ts'
import { startRecordingTarget } from './recording-target.ts'

const head = (framing: string) =>
  `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n${framing}\r\n\r\n`

/** A target that sends these bytes and closes. */
async function answering(t: Parameters<typeof startGateway>[0], mode: object, answer: string) {
  const target = await startRecordingTarget(t, (socket) => socket.end(answer))
  return startGateway(t, [target.url], mode)
}

conformsEach(
  "proxy_extra_data.t 'response with extra data', 'unbuffered with extra data'",
  'what follows the announced length does not reach the client',
  MODES,
  modeOf,
  async (t, mode) => {
    const { port } = await answering(t, mode, `${head('content-length: 8')}see this but not this`)

    const reply = await send(port)

    assert.deepEqual([reply.body.toString(), reply.complete], ['see this', true])
  }
)

conformsEach(
  "proxy_extra_data.t 'zero size', 'unbuffered zero size'",
  'what follows a length of 0 does not reach the client',
  MODES,
  modeOf,
  async (t, mode) => {
    const { port } = await answering(t, mode, `${head('content-length: 0')}not this`)

    const reply = await send(port)

    assert.deepEqual([reply.status, reply.body.toString(), reply.complete], [200, '', true])
  }
)

conformsEach(
  "proxy_extra_data.t 'too short response', 'unbuffered too short response'",
  'a body shorter than announced is passed on and visibly cut',
  MODES,
  modeOf,
  async (t, mode) => {
    const { port } = await answering(t, mode, `${head('content-length: 100')}see this`)

    // A small body of a known length waits for its end where a hook is to see it whole.
    const reply = await send(port)

    if ('prepare' in mode) assert.equal(reply.status, 502)
    else assert.deepEqual([reply.body.toString(), reply.complete], ['see this', false])
  }
)

conformsEach(
  "proxy_extra_data.t 'empty too short response', 'unbuffered empty too short response'",
  'no body at all where one was announced is no complete answer',
  MODES,
  modeOf,
  async (t, mode) => {
    const { port } = await answering(t, mode, head('content-length: 100'))

    const reply = await send(port)

    if ('prepare' in mode) assert.equal(reply.status, 502)
    else assert.deepEqual([reply.status, reply.body.toString(), reply.complete], [200, '', false])
  }
)

conformsEach(
  "proxy_extra_data.t 'no data in HEAD', 'too short to HEAD', 'empty response to HEAD', and the same unbuffered",
  'a body that a target sends to HEAD does not reach the client',
  MODES,
  modeOf,
  async (t, mode) => {
    for (const body of ['see this', 'see this but not this', 'short', '']) {
      const { port } = await answering(t, mode, `${head('content-length: 8')}${body}`)

      const reply = await send(port, { method: 'HEAD' })

      assert.deepEqual([reply.status, reply.body.toString()], [200, ''])
      assert.equal(reply.headers['content-length'], '8')
    }
  }
)

conformsEach(
  "proxy_unfinished.t 'length no final chunk', 'unbuffered length no final chunk'",
  'an unfinished body of a known length is not complete at the client',
  MODES,
  modeOf,
  async (t, mode) => {
    const { port } = await answering(t, mode, `${head('content-length: 100000')}unfinished`)

    const reply = await send(port)

    assert.deepEqual([reply.body.toString(), reply.complete], ['unfinished', false])
  }
)

conformsEach(
  "proxy_unfinished.t 'chunked no final chunk', 'unbuffered chunked no final chunk'",
  'an unfinished chunked body has no last chunk at the client',
  MODES,
  modeOf,
  async (t, mode) => {
    const { port } = await answering(t, mode, `${head('transfer-encoding: chunked')}ff\r\nunfinished\r\n`)

    const reply = await send(port)

    assert.deepEqual([reply.body.toString(), reply.complete], ['unfinished\r\n', false])
  }
)

conformsEach(
  "proxy_unfinished.t 'length final chunk', 'chunked final chunk', and the same unbuffered",
  'a finished body is complete at the client',
  MODES,
  modeOf,
  async (t, mode) => {
    const answers = [
      'content-length: 8\r\n\r\nfinished',
      'transfer-encoding: chunked\r\n\r\n8\r\nfinished\r\n0\r\n\r\n'
    ]
    for (const answer of answers) {
      const { port } = await answering(t, mode, `HTTP/1.1 200 OK\r\nconnection: close\r\n${answer}`)

      const reply = await send(port)

      assert.deepEqual([reply.body.toString(), reply.complete], ['finished', true])
    }
  }
)

conformsEach(
  "proxy_unfinished.t 'big unfinished', 'big finished', 'big unfinished un', 'big finished un'",
  'the same holds for a body of 1 MB',
  MODES,
  modeOf,
  async (t, mode) => {
    const body = 'x'.repeat(1_000_000)
    const unfinished = await answering(t, mode, `${head('content-length: 1000001')}${body}`)
    const finished = await answering(t, mode, `${head('content-length: 1000000')}${body}`)

    const replies = [await send(unfinished.port), await send(finished.port)]

    assert.deepEqual(
      replies.map((reply) => [reply.body.length, reply.complete]),
      [
        [1_000_000, false],
        [1_000_000, true]
      ]
    )
  }
)
