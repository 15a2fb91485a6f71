import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { pick, RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { startRecordingTarget } from './recording-target.ts'

/** One field in the lines that a multi-value header has in YARP's tests: several, lists in lines, an empty one. */
const LINES = [['p=1', 'q=2', 'r=3'], ['p=1, q=2', 'r=3'], ['p=1', '', 'q=2, r=3'], ['p=1, q=2, r=3'], ['', '']]

const fieldsOf = (name: string, lines: readonly string[]) => lines.map((line) => `${name}: ${line}\r\n`).join('')

/** Sends header lines as they are, and gives the head that the target got and the one that the client got. */
async function exchange(t: Parameters<typeof startGateway>[0], request: string, response = '') {
  const target = await startRecordingTarget(t, `HTTP/1.1 200 OK\r\n${response}content-length: 2\r\n\r\nok`)
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)
  client.write(`GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n${request}\r\n`)
  const reply = await client.end()
  return { sent: target.requests[0]?.head ?? '', reply }
}

conformsEach(
  'HttpForwarderTests.Request_RemoveProhibitedHeaders',
  'a header that is for the connection does not get to the target',
  [
    ...['Upgrade: h9', 'Keep-Alive: timeout=100', 'Proxy-Connection: x', 'Proxy-Authenticate: x', 'TE: x'],
    ...['Proxy-Authentication-Info: x', 'Proxy-Authorization: x', 'Proxy-Features: x', 'Proxy-Instruction: x'],
    ...['Security-Scheme: x', 'ALPN: x', 'Close: x', 'HTTP2-Settings: AAMA']
  ],
  (line) => line,
  async (t, line) => {
    const { sent, reply } = await exchange(t, `${line}\r\nfoo: bar\r\n`)

    assert.match(reply, /^HTTP\/1\.1 200 /)
    assert.deepEqual(valuesOf(sent, line.slice(0, line.indexOf(':')).toLowerCase()), [])
    assert.deepEqual(valuesOf(sent, 'connection'), [])
    assert.deepEqual(valuesOf(sent, 'foo'), ['bar'])
  }
)

conformsEach(
  'HttpTransformerTests.TransformRequestAsync_RemovesRestrictedHeaders',
  'a header that is for the connection is left out, however it is spelt',
  ['cOnNeCtIoN: x', 'pRoXy-CoNnEcTiOn: x', 'kEeP-aLiVe: x', 'hTtP2-sEtTiNgS: x'],
  (line) => line,
  async (t, line) => {
    const { sent } = await exchange(t, `${line}\r\n`)

    assert.deepEqual(valuesOf(sent, line.slice(0, line.indexOf(':')).toLowerCase()), [])
  }
)

differs(
  'HttpForwarderTests.Request_RemoveProhibitedHeaders (Upgrade-Insecure-Requests, Alt-Svc)',
  'Upgrade-Insecure-Requests and Alt-Svc get to the target',
  'they are end to end: browsers tell sites by the first that they prefer https',
  async (t) => {
    const { sent } = await exchange(t, 'Upgrade-Insecure-Requests: 1\r\nAlt-Svc: h3=":443"\r\n')

    assert.deepEqual(valuesOf(sent, 'upgrade-insecure-requests'), ['1'])
    assert.deepEqual(valuesOf(sent, 'alt-svc'), ['h3=":443"'])
  }
)

differs(
  'HttpForwarderTests.Request_RemoveProhibitedHeaders (Transfer-Encoding: deflate)',
  'a transfer coding other than chunked is a 400',
  'where its body ends cannot be known',
  async (t) => {
    const { sent, reply } = await exchange(t, 'Transfer-Encoding: deflate\r\n')

    assert.match(reply, /^HTTP\/1\.1 400 /)
    assert.equal(sent, '')
  }
)

differs(
  'HttpForwarderTests.Request_RemoveProhibitedHeaders (values with line breaks)',
  'a bare CR, a bare LF or a folded line in a header is a 400',
  'RFC 9112, section 5.2 lets a server refuse them, and two parsers may read them in two ways',
  async (t) => {
    for (const value of ['\rfoo', 'bar\nbaz', 'foo\r\n bar']) {
      const { sent, reply } = await exchange(t, `valid-name: ${value}\r\n`)

      assert.match(reply, /^HTTP\/1\.1 400 /)
      assert.equal(sent, '')
    }
  }
)

conformsEach(
  'HttpForwarderTests.Response_RemoveProhibitedHeaders, HttpTransformerTests.TransformResponseAsync_RemovesRestrictedHeaders',
  'a header that is for the connection does not get to the client',
  [
    ...['Connection: close', 'Upgrade: h9', 'Keep-Alive: timeout=100', 'Proxy-Connection: x', 'Proxy-Authenticate: x'],
    ...['Proxy-Authentication-Info: x', 'TE: x', 'HTTP2-Settings: AAMA']
  ],
  (line) => line,
  async (t, line) => {
    const target = await startRecordingTarget(
      t,
      `HTTP/1.1 200 OK\r\n${line}\r\nfoo: bar\r\ncontent-length: 2\r\n\r\nok`
    )
    const gateway = await startGateway(t, [target.url])
    const [name = '', value] = line.split(': ')

    const reply = await send(gateway.port, { headers: { connection: 'keep-alive' } })

    // Our own connection to the client may well have a Connection and a Keep-Alive header.
    assert.equal(pick(reply.raw, name.toLowerCase()).includes(value ?? ''), false)
    assert.deepEqual(pick(reply.raw, 'foo'), ['bar'])
  }
)

differs(
  'HttpForwarderTests.Response_RemoveProhibitedHeaders (Proxy-Features and others)',
  'what no RFC in force gives to the connection gets to the client',
  'RFC 9110, section 7.6.1 names what a proxy takes out; nginx and Go let these pass, too',
  async (t) => {
    const names = ['Proxy-Features', 'Proxy-Instruction', 'Security-Scheme', 'ALPN', 'Close', 'Proxy-Authorization']
    const more = ['Upgrade-Insecure-Requests', 'Alt-Svc']
    const lines = [...names, ...more].map((name) => `${name}: x\r\n`).join('')

    const { reply } = await exchange(t, '', lines)

    for (const name of [...names, ...more]) assert.deepEqual(valuesOf(reply, name.toLowerCase()), ['x'])
  }
)

differs(
  'HttpForwarderTests.Response_RemoveProhibitedHeaders (Transfer-Encoding: deflate)',
  'a response with a transfer coding other than chunked is a 502',
  'the request offers no other coding, and where such a body ends cannot be known',
  async (t) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: deflate\r\n\r\nx')
    const gateway = await startGateway(t, [target.url])

    assert.equal((await send(gateway.port)).status, 502)
  }
)

differs(
  'HttpForwarderTests.Response_RemoveProhibitedHeaders (values with line breaks)',
  'a bare CR, a bare LF or a folded line in a header of the target is a 502',
  'a head that may be read in two ways is not passed on in part',
  async (t) => {
    for (const value of ['\rfoo', 'bar\nbaz', 'foo\r\n bar']) {
      const target = await startRecordingTarget(t, `HTTP/1.1 200 OK\r\nname: ${value}\r\ncontent-length: 0\r\n\r\n`)
      const gateway = await startGateway(t, [target.url])

      assert.equal((await send(gateway.port)).status, 502)
    }
  }
)

conformsEach(
  'HttpForwarderTests.ResponseToNonUpgradeableRequest_RemoveAllConnectionHeaders',
  'connection headers of an ordinary response are left out, everything else stays',
  [
    { fields: 'Connection: upgrade\r\nUpgrade: test9\r\n', kept: [] },
    { fields: 'Connection: keep-alive\r\nKeep-Alive: timeout=100\r\n', kept: [] },
    { fields: 'Foo: bar\r\n', kept: ['bar'] }
  ],
  ({ fields }) => JSON.stringify(fields),
  async (t, { fields, kept }) => {
    const { reply } = await exchange(t, '', fields)

    assert.deepEqual(valuesOf(reply, 'connection'), ['close'])
    assert.deepEqual([...valuesOf(reply, 'upgrade'), ...valuesOf(reply, 'keep-alive')], [])
    assert.deepEqual(valuesOf(reply, 'foo'), kept)
  }
)

conformsEach(
  'HttpForwarderTests.RequestWithMultiHeaders',
  'every line of a repeated request header arrives, in order',
  ['Accept', 'Accept-Charset', 'Accept-Encoding', 'Accept-Language', 'Content-Encoding', 'Content-Language'],
  (name) => name,
  async (t, name) => {
    for (const lines of LINES) {
      const { sent } = await exchange(t, fieldsOf(name, lines))

      assert.deepEqual(valuesOf(sent, name.toLowerCase()), lines)
    }
  }
)

conforms(
  'HttpForwarderTests.RequestWithMultiHeaders (Via)',
  'every Via of the client comes before our own',
  async (t) => {
    const { sent } = await exchange(t, 'Via: 1.0 one\r\nVia: 1.1 two, 1.1 three\r\n')

    assert.deepEqual(valuesOf(sent, 'via'), ['1.0 one, 1.1 two, 1.1 three, 1.1 fastify-gateway'])
  }
)

conforms(
  'HttpForwarderTests.RequestWithEmptyMultiHeaders',
  'empty lines of a request header arrive as such',
  async (t) => {
    const { sent } = await exchange(t, fieldsOf('Accept-Charset', ['', '']))

    assert.deepEqual(valuesOf(sent, 'accept-charset'), ['', ''])
  }
)

conformsEach(
  'HttpForwarderTests.ResponseWithMultiHeaders',
  'every line of a repeated response header arrives, in order',
  [
    ...['Accept-Ranges', 'Allow', 'Content-Encoding', 'Content-Language', 'Content-Range', 'Content-Type'],
    ...['Set-Cookie', 'Via', 'Warning', 'WWW-Authenticate']
  ],
  (name) => name,
  async (t, name) => {
    for (const lines of LINES) {
      const { reply } = await exchange(t, '', fieldsOf(name, lines))

      assert.deepEqual(valuesOf(reply, name.toLowerCase()), lines)
    }
  }
)
