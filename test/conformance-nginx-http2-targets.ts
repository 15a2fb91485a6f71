import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { overFrames } from './conformance-http2-helper.ts'
import { MODES, modeOf } from './conformance-modes.ts'
import { send } from './forwarding-helper.ts'
import {
  CANCEL,
  DATA,
  data,
  END_HEADERS,
  END_STREAM,
  type Field,
  type FramePeer,
  frame,
  headers,
  NO_ERROR,
  PING,
  rstStream,
  windowUpdate
} from './http2-frames-helper.ts'

const OK: Field[] = [[':status', '200']]
const EIGHT: Field[] = [...OK, ['content-length', '8']]

conformsEach(
  "proxy_h2.t 'proxy request', 'proxy request with multiple packets'; proxy_h2_body.t 'body', 'body nobuffering'",
  'a body arrives, in one piece or in two',
  MODES,
  modeOf,
  async (t, mode) => {
    const gateway = await overFrames(
      t,
      (peer, id) => {
        peer.send(headers(id, OK, END_HEADERS), data(id, 'see this'))
        setImmediate(() => peer.send(data(id, ' and this', END_STREAM)))
      },
      mode
    )

    const reply = await send(gateway.port)

    assert.deepEqual([reply.status, reply.body.toString(), reply.complete], [200, 'see this and this', true])
  }
)

conforms("proxy_h2.t 'proxy head request'; grpc.t 'method head'", 'HEAD is answered without a body', async (t) => {
  const gateway = await overFrames(t, (peer, id) => peer.send(headers(id, EIGHT)))

  const reply = await send(gateway.port, { method: 'HEAD' })

  assert.deepEqual([reply.status, reply.body.length, reply.headers['content-length']], [200, 0, '8'])
})

conformsEach(
  "proxy_h2_body.t 'body padding', 'body padding length'; proxy_h2_headers.t 'padding'; grpc.t 'DATA padding', 'DATA padding cl'",
  'padding does not reach the client',
  [OK, EIGHT],
  (fields) => `${fields.length - 1} lengths`,
  async (t, fields) => {
    const padded = Buffer.concat([Buffer.of(42), Buffer.from('see this'), Buffer.alloc(42)])
    const gateway = await overFrames(t, (peer, id) => {
      peer.send(headers(id, fields, END_HEADERS), frame(DATA, END_STREAM | 0x8, id, padded))
    })

    const reply = await send(gateway.port)

    assert.deepEqual([reply.body.toString(), reply.complete], ['see this', true])
  }
)

conformsEach(
  "proxy_h2_body.t 'body less cl', 'body more cl', 'unbuf less cl', 'unbuf more cl'; grpc.t 'response body less than content-length', 'response body more than content-length'",
  'a body that is not as long as announced is no complete answer',
  MODES.flatMap((mode) => ['', 'THIS-AND-THIS'].map((rest) => ({ mode, rest }))),
  ({ mode, rest }) => `'SEE-${rest}' of 8 ${modeOf(mode)}`,
  async (t, { mode, rest }) => {
    const gateway = await overFrames(
      t,
      (peer, id) => peer.send(headers(id, EIGHT, END_HEADERS), data(id, 'SEE-'), data(id, rest, END_STREAM)),
      mode
    )

    const reply = await send(gateway.port)

    assert.ok(reply.status === 502 || !reply.complete, `${reply.status}, complete: ${reply.complete}`)
    await gateway.idle()
  }
)

conformsEach(
  "proxy_h2_body_discard.t 'window update', 'rst no error'; grpc.t 'discard WINDOW_UPDATE - trailers', 'discard NO_ERROR - trailers'",
  'what a target sends about a stream that it has ended does not harm the response',
  ['window update', 'rst no error'],
  (what) => what,
  async (t, what) => {
    const gateway = await overFrames(t, (peer, id) => {
      const after = what === 'window update' ? windowUpdate(id, 42) : rstStream(id, NO_ERROR)
      peer.send(headers(id, OK, END_HEADERS), data(id, 'see this', END_STREAM), after)
    })

    const reply = await send(gateway.port)

    assert.deepEqual([reply.body.toString(), reply.complete], ['see this', true])
  }
)

differs(
  "proxy_h2_body_discard.t 'rst error', 'rst no error many'; grpc.t 'discard CANCEL - no trailers', 'discard NO_ERROR many - no trailers'",
  'nor does an error for a stream that both sides have ended',
  'the response is whole; RFC 9113, section 5.1 lets a recipient ignore what comes for a closed stream',
  async (t) => {
    for (const code of [CANCEL, NO_ERROR]) {
      const gateway = await overFrames(t, (peer, id) => {
        const resets = [rstStream(id, code), rstStream(id, code)]
        peer.send(
          headers(id, OK, END_HEADERS),
          data(id, 'see this', END_STREAM),
          ...resets.slice(code === CANCEL ? 1 : 0)
        )
      })

      const reply = await send(gateway.port)

      assert.deepEqual([reply.body.toString(), reply.complete], ['see this', true])
    }
  }
)

conforms(
  "proxy_h2_body_discard.t 'ping'; proxy_h2_keepalive.t 'control 1'",
  'a PING amid a response is answered',
  async (t) => {
    const peers: FramePeer[] = []
    const gateway = await overFrames(t, (peer, id) => {
      peers.push(peer)
      peer.send(headers(id, OK, END_HEADERS), frame(PING, 0, 0, 'SEE-THIS'))
      peer.frame(PING).then(({ payload }) => peer.send(data(id, payload, END_STREAM)))
    })

    assert.equal((await send(gateway.port)).body.toString(), 'SEE-THIS')
  }
)
