import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { MODES, modeOf } from './conformance-modes.ts'
import { pick, RawClient, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'

const HINTS = 'HTTP/1.1 103 \r\nLink: </style.css>; rel=preload; as=style\r\n\r\n'
const DONE = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\nsee this'

conformsEach(
  "proxy_early_hints.t 'early hints'",
  'early hints come before the response',
  MODES,
  modeOf,
  async (t, mode) => {
    const target = await startRecordingTarget(t, (socket) => socket.write(HINTS))
    const gateway = await startGateway(t, [target.url], mode)
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await client.until('as=style\r\n\r\n')
    for (const socket of target.sockets) socket.write(DONE)

    assert.match(
      await client.end(),
      /^HTTP\/1\.1 103 .*\r\nlink: <\/style\.css>[\s\S]*HTTP\/1\.1 200 OK[\s\S]*see this$/i
    )
  }
)

conformsEach(
  "proxy_early_hints.t 'early hints only'",
  'a target that closes after its early hints is a 502',
  MODES,
  modeOf,
  async (t, mode) => {
    const target = await startRecordingTarget(t, (socket) => socket.end(HINTS))
    const gateway = await startGateway(t, [target.url], mode)
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')

    assert.match(await client.end(), /HTTP\/1\.1 502 /)
  }
)

conformsEach(
  "proxy_trailers.t 'trailers', 'trailers nobuffering'",
  'trailers follow the body',
  MODES,
  modeOf,
  async (t, mode) => {
    const answer =
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nsee this\r\n0\r\nX-Trailer: foo\r\nX-Another: bar\r\n\r\n'
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url], mode)
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: te, close\r\nTE: trailers\r\n\r\n')

    assert.match(await client.end(), /see this\r\n0\r\nx-trailer: foo\r\nx-another: bar\r\n\r\n$/i)
  }
)

conformsEach(
  "http_expect_100_continue.t 'expect 100 continue', 'expect 100 continue case-insensitive'",
  'a client that asks before it sends its body gets to hear of it',
  ['100-continue', '100-Continue'],
  (value) => value,
  async (t, value) => {
    const target = await startTarget(t, (request, response) => request.resume().on('end', () => response.end('ok')))
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`POST / HTTP/1.1\r\nHost: a\r\nExpect: ${value}\r\nContent-Length: 2\r\n\r\n`)
    await client.until('HTTP/1.1 100 Continue\r\n\r\n')
    client.write('hi')

    assert.match(await client.until('\r\n\r\nok'), /HTTP\/1\.1 200 OK/)
  }
)

conforms(
  "http_expect_100_continue.t 'no 100 continue via http 1.0'",
  'a client of HTTP/1.0 gets no informational response',
  async (t) => {
    const target = await startTarget(t, (request, response) => request.resume().on('end', () => response.end('ok')))
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi')

    const text = await client.end()
    assert.match(text, /^HTTP\/1\.1 200 /)
    assert.doesNotMatch(text, / 100 /)
  }
)

conformsEach(
  "http_expect_100_continue.t 'unknown expectation', 'unsupported expectation extension'",
  'another expectation is a 417',
  ['unknown', 'token=param'],
  (value) => value,
  async (t, value) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`POST / HTTP/1.1\r\nHost: a\r\nExpect: ${value}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)

    assert.match(await client.end(), /^HTTP\/1\.1 417 /)
    assert.equal(target.requests.length, 0)
  }
)

conforms("proxy_intercept_errors.t 'not intercepted'", 'an error of the target passes as it is', async (t) => {
  const target = await startTarget(t, (_request, response) => response.writeHead(404).end('see this'))
  const gateway = await startGateway(t, [target.url])

  const reply = await send(gateway.port)

  assert.deepEqual([reply.status, reply.body.toString()], [404, 'see this'])
})

conforms(
  "proxy_intercept_errors.t 'intercepted 500', 'intercepted 401', 'intercepted 401 multi'",
  'a hook may put its own text in place of an error, and the other headers stay',
  async (t) => {
    const target = await startTarget(t, ({ url }, response) => {
      if (url === '/500') response.writeHead(500).end('inner details')
      else response.writeHead(401, { 'www-authenticate': ['foo', 'bar'] }).end('inner details')
    })
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onSend', async (_request, reply, payload) => (reply.statusCode < 400 ? payload : 'intercepted'))
      }
    })

    const replies = [await send(gateway.port, { path: '/500' }), await send(gateway.port, { path: '/auth' })]

    assert.deepEqual(
      replies.map(({ status, body }) => [status, body.toString()]),
      [
        [500, 'intercepted'],
        [401, 'intercepted']
      ]
    )
    assert.deepEqual(pick(replies[1]?.raw ?? [], 'www-authenticate'), ['foo', 'bar'])
  }
)

conforms(
  "proxy_merge_headers.t 'proxy_pass_header date', 'proxy_pass_header server', 'proxy_pass_header no server'",
  'Date and Server of the target pass, and no Server is added',
  async (t) => {
    const target = await startRecordingTarget(t, (socket, _request, index) => {
      const own = index === 0 ? 'Date: passed\r\nServer: passed\r\n' : ''
      socket.write(`HTTP/1.1 200 OK\r\n${own}content-length: 0\r\n\r\n`)
    })
    const gateway = await startGateway(t, [target.url])

    const [named, nameless] = [await send(gateway.port), await send(gateway.port)]

    assert.deepEqual([...pick(named.raw, 'date'), ...pick(named.raw, 'server')], ['passed', 'passed'])
    assert.deepEqual(pick(nameless.raw, 'server'), [])
  }
)

differs(
  "proxy_merge_headers.t 'proxy_pass_header no date'",
  'a Date is added where the target sent none',
  'RFC 9110, section 6.6.1: who forwards a response without one must add it',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])

    assert.equal(pick((await send(gateway.port)).raw, 'date').length, 1)
  }
)

conforms(
  "proxy_merge_headers.t 'proxy_hide_header inherited', 'proxy_hide_header nested', 'proxy_pass_header default', 'proxy_pass_header nested'",
  'a header that the route removes does not reach the client, every other one does',
  async (t) => {
    const target = await startTarget(t, (_request, response) => {
      response.writeHead(200, { 'x-hidden': '1', 'x-pad': '2' }).end()
    })
    const gateway = await startGateway(t, [target.url], { route: { response: { headers: { remove: ['x-hidden'] } } } })

    const { raw } = await send(gateway.port)

    assert.deepEqual([pick(raw, 'x-hidden'), pick(raw, 'x-pad')], [[], ['2']])
  }
)
