import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { overFrames } from './conformance-http2-helper.ts'
import { MODES, modeOf } from './conformance-modes.ts'
import { RawClient, send, startGateway } from './forwarding-helper.ts'
import {
  CONTINUATION,
  data,
  END_HEADERS,
  END_STREAM,
  type Field,
  type FramePeer,
  fieldBlock,
  frame,
  HEADERS,
  headers
} from './http2-frames-helper.ts'
import { startHttp2Target } from './http2-transport-helper.ts'

const OK: Field[] = [[':status', '200']]

conforms("proxy_h2_pass_request.t 'many headers'", 'a header arrives as often as it was sent', async (t) => {
  const values: unknown[] = []
  const target = await startHttp2Target(t, (stream, _fields, raw) => {
    for (let i = 0; i < raw.length; i += 2) if (raw[i] === 'x-many') values.push(raw[i + 1])
    stream.respond({}, { endStream: true })
  })
  const gateway = await startGateway(t, [target.url], { upstream: { http2: true } })
  const many = Array.from({ length: 22 }, (_, i) => `foo${i}`)

  await send(gateway.port, { headers: { 'x-many': many } })

  assert.deepEqual(values, many)
})

conforms("grpc.t 'invalid header name uppercase'", 'a name in upper case is a 502', async (t) => {
  const gateway = await overFrames(t, (peer, id) => peer.send(headers(id, [...OK, ['NN', 'v']])))

  assert.equal((await send(gateway.port)).status, 502)
})

differs(
  "proxy_h2_headers.t 'zero header field'; grpc.t 'invalid header name colon', 'invalid header name ctl', 'invalid header name space', 'invalid header value ctl'",
  'a header that HTTP/1.1 could not carry does not reach the client, the rest of its response does',
  'nghttp2 drops such a field before anybody sees it',
  async (t) => {
    const fields: Field[] = [
      ['', ''],
      ['n:n', 'v'],
      ['n\nn', 'v'],
      ['n n', 'v'],
      ['n', 'v\nv']
    ]
    for (const field of fields) {
      const gateway = await overFrames(t, (peer, id) => peer.send(headers(id, [...OK, field, ['kept', '1']])))

      const { status, raw } = await send(gateway.port)

      const names = raw.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
      assert.deepEqual([status, names.includes('kept')], [200, true])
      assert.deepEqual(
        names.filter((name) => !/^(kept|date|connection|transfer-encoding|content-length)$/.test(name)),
        []
      )
    }
  }
)

/** A response with a name and a value of so many bytes, in as many frames as it takes. */
function long(peer: FramePeer, id: number, size: number): void {
  const block = fieldBlock([...OK, ['x'.repeat(size), 'y'.repeat(size)]])
  for (let at = 0; at < block.length; at += 16_384) {
    const flags = (at === 0 ? END_STREAM : 0) | (at + 16_384 >= block.length ? END_HEADERS : 0)
    peer.send(frame(at === 0 ? HEADERS : CONTINUATION, flags, id, block.subarray(at, at + 16_384)))
  }
}

conformsEach(
  "proxy_h2_headers.t 'long header field 1', 'long header field 2'; grpc.t 'long header field 1', 'long header field 2', 'continuation - header'",
  'a long header arrives, also in several frames',
  [7, 8, 14],
  (bits) => `${2 ** bits} bytes each of name and value`,
  async (t, bits) => {
    const gateway = await overFrames(t, (peer, id) => long(peer, id, 2 ** bits))
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

    assert.ok((await client.end()).includes(`${'x'.repeat(2 ** bits)}: ${'y'.repeat(2 ** bits)}\r\n`))
  }
)

conforms("proxy_h2_headers.t 'long header field 4'", 'a head of 128 KiB is a 502', async (t) => {
  const gateway = await overFrames(t, (peer, id) => long(peer, id, 2 ** 16))

  assert.equal((await send(gateway.port)).status, 502)
})

differs(
  "proxy_h2_headers.t 'long header field 3'; grpc.t 'long header field 3'",
  'so is one of 64 KiB and more',
  'that is the limit for the head of any response',
  async (t) => {
    const gateway = await overFrames(t, (peer, id) => long(peer, id, 2 ** 15))

    assert.equal((await send(gateway.port)).status, 502)
  }
)

conformsEach(
  "proxy_h2_early_hints.t 'early hints'; grpc_early_hints.t 'early hints'",
  'early hints of a target that speaks HTTP/2 come before the response',
  MODES,
  modeOf,
  async (t, mode) => {
    const hints: Field[] = [
      [':status', '103'],
      ['link', '</style.css>; rel=preload']
    ]
    const gateway = await overFrames(
      t,
      (peer, id) => {
        const body = data(id, 'see this', END_STREAM)
        peer.send(
          headers(id, hints, END_HEADERS),
          headers(id, [...OK, ['content-type', 'text/plain']], END_HEADERS),
          body
        )
      },
      mode
    )
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

    assert.match(await client.end(), /^HTTP\/1\.1 103 [\s\S]*link: [\s\S]*HTTP\/1\.1 200 [\s\S]*see this/i)
  }
)

conforms(
  "proxy_h2_early_hints.t 'early hints only'; grpc_early_hints.t 'early hints only'",
  'a target that closes after its early hints is a 502',
  async (t) => {
    const gateway = await overFrames(t, (peer, id) => {
      peer.send(headers(id, [[':status', '103']], END_HEADERS))
      peer.socket.end()
    })
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

    assert.match(await client.end(), /HTTP\/1\.1 502 /)
  }
)
