import assert from 'node:assert/strict'
import { conforms, conformsEach } from './conformance-helper.ts'
import { valuesOf } from './forwarding-helper.ts'
import { plain, readReply, sendHttp2, startHttp2Gateway } from './http2-helper.ts'
import { startRecordingTarget } from './recording-target.ts'

conforms(
  "proxy_early_hints.t 'h2 early hints', 'h2 early header', 'h2 header', 'h2 data'",
  'early hints reach a client of HTTP/2 before the response',
  async (t) => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n'
    const target = await startRecordingTarget(t, `${hints}HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsee this`)
    const gateway = await startHttp2Gateway(t, [target.url])
    const stream = gateway.connect().request({ ':path': '/' })
    const seen: unknown[] = []
    stream.on('headers', (early) => seen.push(plain(early)[':status'], early.link))

    const reply = await readReply(stream)

    assert.deepEqual(seen, [103, '</style.css>; rel=preload'])
    assert.deepEqual([reply.status, reply.body.toString()], [200, 'see this'])
  }
)

conforms(
  "proxy_trailers.t 'h2 header', 'h2 data', 'h2 trailer', 'h2 trailer 2'",
  'trailers of a target reach a client of HTTP/2',
  async (t) => {
    const chunked = 'transfer-encoding: chunked\r\n\r\n8\r\nsee this\r\n0\r\nX-Trailer: foo\r\nX-Another: bar\r\n\r\n'
    const target = await startRecordingTarget(t, `HTTP/1.1 200 OK\r\n${chunked}`)
    const gateway = await startHttp2Gateway(t, [target.url])

    const reply = await sendHttp2(gateway.connect(), { ':path': '/', te: 'trailers' })

    assert.deepEqual([reply.status, reply.body.toString()], [200, 'see this'])
    assert.deepEqual([reply.trailers['x-trailer'], reply.trailers['x-another']], ['foo', 'bar'])
  }
)

conformsEach(
  "proxy_connection_headers.t 'upgrade stripped in HTTP/2 200', 'upgrade stripped in HTTP/2 426'",
  'Upgrade does not reach a client of HTTP/2',
  ['200 OK', '426 Upgrade Required'],
  (status) => status,
  async (t, status) => {
    const fields = 'Connection: Upgrade\r\nUpgrade: websocket\r\ncontent-length: 0\r\n'
    const target = await startRecordingTarget(t, `HTTP/1.1 ${status}\r\n${fields}\r\n`)
    const gateway = await startHttp2Gateway(t, [target.url])

    const reply = await sendHttp2(gateway.connect(), { ':path': '/' })

    assert.deepEqual(
      [String(reply.status), reply.headers.upgrade, reply.headers.connection],
      [status.slice(0, 3), undefined, undefined]
    )
  }
)

conforms(
  "h2_headers.t 'multiple request header fields proxied - semi-colon', 'multiple request header fields proxied - dublicate cookie', 'multiple response header proxied - cookie', 'multiple response header proxied - cookie 2'",
  'crumbs of a cookie become one header, and several Set-Cookie stay several',
  async (t) => {
    const target = await startRecordingTarget(
      t,
      'HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\ncontent-length: 0\r\n\r\n'
    )
    const gateway = await startHttp2Gateway(t, [target.url])

    const reply = await sendHttp2(gateway.connect(), { ':path': '/', cookie: ['a=b', 'c=d'] })

    assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'cookie'), ['a=b; c=d'])
    assert.deepEqual(reply.headers['set-cookie'], ['a=b', 'c=d'])
  }
)

conforms(
  "h2.t 'HEAD - HEADERS status', 'HEAD - no body', 'TRACE - not allowed', 'CONNECT - not allowed'",
  'HEAD has no body, TRACE and CONNECT are a 405',
  async (t) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n')
    const gateway = await startHttp2Gateway(t, [target.url])
    const session = gateway.connect()

    const head = await sendHttp2(session, { ':method': 'HEAD', ':path': '/' })
    const trace = await sendHttp2(session, { ':method': 'TRACE', ':path': '/' })
    const connect = await sendHttp2(session, { ':method': 'CONNECT', ':authority': 'other.test:80' })

    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '4', 0])
    assert.deepEqual([trace.status, connect.status], [405, 405])
    assert.equal(target.requests.length, 1)
  }
)

conforms(
  "h2_proxy_max_temp_file_size.t 'no pipe bufs - body', 'no temp file - body'",
  'a large body arrives whole',
  async (t) => {
    const target = await startRecordingTarget(
      t,
      `HTTP/1.1 200 OK\r\ncontent-length: 1048576\r\n\r\n${'X'.repeat(1_048_576)}`
    )
    const gateway = await startHttp2Gateway(t, [target.url])

    const { body } = await sendHttp2(gateway.connect(), { ':path': '/' })

    assert.ok(body.equals(Buffer.alloc(1_048_576, 'X')))
  }
)

const TAKEN = [
  ['l', 'l'],
  ['L', 'l'],
  ['abcd-ef.g02.xyz:', 'abcd-ef.g02.xyz'],
  ['abcd-ef.g02.xyz:8080', 'abcd-ef.g02.xyz'],
  ['www.abcd-ef.g02.xyz.', 'www.abcd-ef.g02.xyz'],
  ['abcd-ef.g02.xyz.:88', 'abcd-ef.g02.xyz'],
  ['123.49.0.78:987', '123.49.0.78'],
  ['[abcd::ef98:0:7654:321]:80', '[abcd::ef98:0:7654:321]'],
  ['[::ffff:12.30.67.89]', '[::ffff:12.30.67.89]']
] as const

conformsEach(
  'h2_host.t, the hosts that are taken',
  'a route for a host takes requests of HTTP/2 for it, by :authority or by Host',
  [':authority', 'host'],
  (name) => name,
  async (t, name) => {
    for (const [host, route] of TAKEN) {
      const target = await startRecordingTarget(t)
      const gateway = await startHttp2Gateway(t, [target.url], { route: { match: { hosts: [route] } } })
      // Without an :authority the client of Node.js makes one up, unless there is a Host.
      const { status } = await sendHttp2(gateway.connect(), { ':path': '/', [name]: host })

      assert.deepEqual([host, status], [host, 200])
    }
  }
)

conformsEach(
  'h2_host.t, the hosts that are refused',
  'what is no host is a 400, by :authority or by Host',
  [':authority', 'host'],
  (name) => name,
  async (t, name) => {
    const target = await startRecordingTarget(t)
    const gateway = await startHttp2Gateway(t, [target.url])
    const hosts = ['.', '..examp-LE.com', 'example.com.:1.2', '123.49.0.78:98777', '123.40.56.78:9000:80']
    const literals = ['[abcd::ef98:0:7654:321].', '[ab..cd::ef98:0:7654:321]', 'extra[abcd::1]:98', '[abcd::1']
    for (const host of [...hosts, ...literals]) {
      const { status, code } = await sendHttp2(gateway.connect(), { ':path': '/', [name]: host })

      assert.ok(status === 400 || code === 1, `${host}: ${status}, ${code}`)
    }
    assert.equal(target.requests.length, 0)
  }
)
