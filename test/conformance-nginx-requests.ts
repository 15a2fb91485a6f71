import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { RawClient, startGateway, valuesOf } from './forwarding-helper.ts'
import { startRecordingTarget } from './recording-target.ts'

type Context = Parameters<typeof startGateway>[0]

/** The status that the client gets, and the head that the target gets, if any. */
async function ask(t: Context, request: string): Promise<{ status: string; sent: string; line: string; text: string }> {
  const target = await startRecordingTarget(t, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)
  client.write(Buffer.from(request, 'latin1'))
  const text = await client.end()
  const sent = target.requests[0]?.head ?? ''
  return { status: text.slice(9, 12), sent, line: sent.slice(0, sent.indexOf('\r\n')), text }
}

const get = (target: string) => `GET ${target} HTTP/1.0\r\nHost: localhost\r\n\r\n`

conformsEach(
  "http_uri.t 'percent', 'percent digit', 'space', 'control'",
  'a malformed path is a 400',
  ['/foo/bar%', '/foo/bar%1', '/ /', '/\x02'],
  (path) => JSON.stringify(path),
  async (t, path) => {
    const { status, sent } = await ask(t, get(path))

    assert.deepEqual([status, sent], ['400', ''])
  }
)

differs(
  "http_uri.t 'dot args', 'dot frag', 'dot dot args', 'dot dot frag', 'trailing dot', 'trailing dot dot'; merge_slashes.t",
  'a dot segment or a fragment is a 400, and not resolved',
  'what was matched is what is forwarded; a target may resolve them in another way than a route did',
  async (t) => {
    for (const path of [
      '/a/b/.?c',
      '/a/b/.#c',
      '/a/b/..?c',
      '/a/b/..#c',
      '/a/b/.',
      '/a/b/..',
      '/a//../b',
      '/a///../b'
    ]) {
      const { status, sent } = await ask(t, get(path))

      assert.deepEqual([path, status, sent], [path, '400', ''])
    }
  }
)

conformsEach(
  "http_uri.t 'absolute', 'absolute slash', 'absolute args', 'port', 'port slash', 'port args', 'control escaped'",
  'an absolute form is forwarded as a path, an escaped path as it is',
  [
    { target: 'http://localhost', sent: '/' },
    { target: 'http://localhost/', sent: '/' },
    { target: 'http://localhost?args', sent: '/?args' },
    { target: 'http://localhost:8080', sent: '/' },
    { target: 'http://localhost:8080/', sent: '/' },
    { target: 'http://localhost:8080?args', sent: '/?args' },
    { target: '/%02', sent: '/%02' }
  ],
  ({ target }) => target,
  async (t, { target, sent }) => {
    assert.equal((await ask(t, get(target))).line, `GET ${sent} HTTP/1.1`)
  }
)

differs(
  "http_uri.t 'absolute args and frag', 'port args and frag'",
  'a fragment behind a query without a path is a 400',
  'a fragment has no place in a request (RFC 9112, section 3.2), and the parser of Node.js refuses it here',
  async (t) => {
    for (const authority of ['localhost', 'localhost:8080']) {
      const { status, sent } = await ask(t, get(`http://${authority}?args#frag`))

      assert.deepEqual([status, sent], ['400', ''])
    }
  }
)

conforms("http_method.t 'trace'", 'TRACE is a 405', async (t) => {
  const { status, sent } = await ask(t, 'TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')

  assert.deepEqual([status, sent], ['405', ''])
})

conformsEach(
  "ignore_invalid_headers.t 'off - underscore', 'off - underscore first', 'off - bad', 'off - bad first', 'underscores_in_headers', 'underscores_in_headers - first'",
  'a header with an unusual name arrives',
  ['x_foo', '_foo', 'x.foo', '.foo'],
  (name) => name,
  async (t, name) => {
    const { sent } = await ask(t, `GET / HTTP/1.0\r\n${name}: x-bar\r\n\r\n`)

    assert.deepEqual(valuesOf(sent, name), ['x-bar'])
  }
)

differs(
  "ignore_invalid_headers.t 'on - underscore', 'on - underscore first'",
  'only names that some targets would take for x-forwarded-for and the like are left out for their underscores',
  'an underscore is a valid character (RFC 9110, section 5.6.2); nginx drops them all for the sake of CGI',
  async (t) => {
    const { sent } = await ask(t, 'GET / HTTP/1.0\r\nX_Forwarded_For: me\r\nx_foo: x-bar\r\n\r\n')

    assert.deepEqual([valuesOf(sent, 'x_forwarded_for'), valuesOf(sent, 'x_foo')], [[], ['x-bar']])
  }
)

conformsEach(
  "ignore_invalid_headers.t 'colon first', 'space', 'control'",
  'a name that is none is a 400',
  [':foo: x-bar', 'x foo: x-bar', 'x-foo : x-bar', 'foo\x02: x-bar'],
  (line) => JSON.stringify(line),
  async (t, line) => {
    const { status, sent } = await ask(t, `GET / HTTP/1.0\r\n${line}\r\n\r\n`)

    assert.deepEqual([status, sent], ['400', ''])
  }
)

conformsEach(
  'http_headers_multi.t, request headers that may come several times',
  'several lines arrive in order',
  [
    { lines: ['Foo: foo', 'Foo: bar', 'Foo: bazz'], name: 'foo', sent: ['foo', 'bar', 'bazz'] },
    { lines: ['Cookie: foo=1', 'Cookie: bar=2', 'Cookie: bazz=3'], name: 'cookie', sent: ['foo=1; bar=2; bazz=3'] },
    { lines: ['Via: foo', 'Via: bar'], name: 'via', sent: ['foo, bar, 1.0 fastify-gateway'] }
  ],
  ({ name }) => name,
  async (t, { lines, name, sent }) => {
    const asked = await ask(t, `GET / HTTP/1.0\r\nHost: a\r\n${lines.join('\r\n')}\r\n\r\n`)

    assert.deepEqual(valuesOf(asked.sent, name), sent)
  }
)

conformsEach(
  'http_headers_multi.t, request headers that must come once: Host, Content-Length, Transfer-Encoding',
  'a header that says where a request goes or ends is refused when it comes twice',
  [
    'Host: foo\r\nHost: bar',
    'Content-Length: 0\r\nContent-Length: 0',
    'Transfer-Encoding: foo\r\nTransfer-Encoding: bar'
  ],
  (lines) => JSON.stringify(lines),
  async (t, lines) => {
    const { status, sent } = await ask(t, `GET / HTTP/1.0\r\n${lines}\r\n\r\n`)

    assert.deepEqual([status, sent], ['400', ''])
  }
)

differs(
  'http_headers_multi.t, request headers that must come once: Content-Type, If-*, Content-Range, User-Agent, Referer, Authorization',
  'a header that the gateway does nothing by arrives as often as it was sent',
  'which one counts is for the target to say; nginx answers 400, as it uses some of them itself',
  async (t) => {
    for (const name of ['If-Match', 'If-Range', 'Content-Range', 'Referer', 'Authorization']) {
      const { sent } = await ask(t, `GET / HTTP/1.0\r\n${name}: foo\r\n${name}: bar\r\n\r\n`)

      assert.deepEqual(valuesOf(sent, name.toLowerCase()), ['foo', 'bar'])
    }
  }
)

conforms(
  "proxy_merge_headers.t 'if-modified-since preserved without cache'",
  'a conditional request arrives as it was sent',
  async (t) => {
    const { sent } = await ask(t, 'GET / HTTP/1.0\r\nIf-Modified-Since: blah\r\n\r\n')

    assert.deepEqual(valuesOf(sent, 'if-modified-since'), ['blah'])
  }
)

conforms("http_max_headers.t 'max headers'", 'every one of 900 headers arrives', async (t) => {
  const names = Array.from({ length: 900 }, (_, i) => `h${i}`)
  const { sent, status } = await ask(t, `GET / HTTP/1.0\r\n${names.map((name) => `${name}:\r\n`).join('')}\r\n`)

  assert.equal(status, '200')
  assert.deepEqual(sent.match(/^h\d+/gm), names)
})

differs(
  "http_max_headers.t 'max headers reached'",
  '1,000 headers are a 431, not a 400',
  'RFC 6585, section 5 has a status for it',
  async (t) => {
    const { sent, status } = await ask(t, `GET / HTTP/1.0\r\n${'h:\r\n'.repeat(1_000)}\r\n`)

    assert.deepEqual([status, sent], ['431', ''])
  }
)
