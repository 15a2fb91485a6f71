import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from './forwarding-helper.ts'
import {
  connectFrames,
  data,
  END_HEADERS,
  END_STREAM,
  errorCode,
  type Field,
  type FramePeer,
  frame,
  GOAWAY,
  HEADERS,
  headers,
  INTERNAL_ERROR,
  PROTOCOL_ERROR,
  pseudo,
  statusOf,
  WINDOW_UPDATE
} from './http2-frames-helper.ts'
import { OK, startRecordingTarget } from './recording-target.ts'
import { startServer } from './server-helper.ts'

/**
 * What a request of HTTP/2 can hold and one of HTTP/1.1 cannot, or would be read as something else. Sources: RFC 9113;
 * J. Kettle, "HTTP/2: The Sequel is Always Worse" (2021), here as H2S; CVEs of proxies that failed.
 */
interface Row {
  what: string
  source: string
  frames: readonly Buffer[]
  /**
   * The stream is reset, or the connection ends, as any error of a stream may have it (RFC 9113, section 5.4.2); that, or
   * an answer of 400; a status; or the request is forwarded.
   */
  expect: 'reset' | 'refused' | number | Forwarded
}

interface Forwarded {
  /** In the head that the target got. */
  with?: RegExp
  without?: RegExp
  body?: string
}

const get = (...extra: Field[]) => [headers(1, [...pseudo('GET', '/', 'a.test'), ...extra])]
const only = (...fields: Field[]) => [headers(1, fields)]
const post = (extra: readonly Field[], ...chunks: string[]) => [
  headers(1, [...pseudo('POST', '/', 'a.test'), ...extra], END_HEADERS),
  ...chunks.map((chunk, i) => data(1, chunk, i === chunks.length - 1 ? END_STREAM : 0))
]
const withTrailers = (...trailers: Field[]) => [
  ...post([], 'body').slice(0, 1),
  data(1, 'body'),
  headers(1, trailers, END_HEADERS | END_STREAM)
]
/** Node.js leaves out a field whose name or value is malformed. Nothing of it may show at the target. */
const leftOut = (what: string, source: string, name: string, value: string): Row => ({
  what,
  source,
  frames: get([name, value]),
  expect: { without: /smuggled|x-odd/i }
})
const reset = (what: string, source: string, frames: readonly Buffer[]): Row => ({
  what,
  source,
  frames,
  expect: 'reset'
})

const rows: readonly Row[] = [
  leftOut('CR LF in a value', 'RFC 9113 8.2.1; H2S, request splitting', 'x-odd', 'a\r\nsmuggled: 1'),
  leftOut(
    'two lines and a request in a value',
    'H2S, request splitting',
    'x-odd',
    'a\r\n\r\nGET /smuggled HTTP/1.1\r\n'
  ),
  leftOut('LF in a value', 'RFC 9113 8.2.1', 'x-odd', 'a\nsmuggled: 1'),
  leftOut('CR in a value', 'RFC 9113 8.2.1', 'x-odd', 'a\rsmuggled: 1'),
  leftOut('NUL in a value', 'RFC 9113 8.2.1', 'x-odd', 'a\0smuggled'),
  leftOut('a control character in a value', 'RFC 9110 5.5', 'x-odd', 'a\x01smuggled'),
  leftOut('DEL in a value', 'RFC 9110 5.5', 'x-odd', 'a\x7fsmuggled'),
  leftOut('a space before a value', 'RFC 9113 8.2.1', 'x-odd', ' smuggled'),
  leftOut('a tab behind a value', 'RFC 9113 8.2.1', 'x-odd', 'smuggled\t'),
  leftOut('CR LF in a cookie', 'H2S, request splitting', 'cookie', 'a=1\r\nsmuggled: 1'),
  leftOut('a colon in a name', 'RFC 9113 8.2.1; H2S, header name splitting', 'x-odd: a', 'b'),
  leftOut('a header in a name', 'RFC 9113 8.2.1; H2S, header name splitting', 'x-odd: a\r\nsmuggled', '1'),
  leftOut('a space in a name', 'RFC 9113 8.2.1', 'x-odd name', 'b'),
  leftOut('transfer-encoding with a space behind', 'CVE-2019-16276', 'transfer-encoding ', 'smuggled'),
  leftOut('transfer-encoding with a NUL behind', 'RFC 9113 8.2.1', 'transfer-encoding\0', 'smuggled'),
  leftOut('an empty name', 'RFC 9113 8.2.1', '', 'smuggled'),
  leftOut('a name of bytes beyond ASCII', 'RFC 9113 8.2.1', 'x-odd\xe9', 'b'),
  reset('an upper-case name', 'RFC 9113 8.2', get(['X-Odd', 'a'])),

  reset(
    'transfer-encoding: chunked before a body',
    'RFC 9113 8.2.2; H2S, H2.TE',
    post([['transfer-encoding', 'chunked']], '0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n')
  ),
  reset('transfer-encoding without a body', 'RFC 9113 8.2.2', get(['transfer-encoding', 'chunked'])),
  reset('connection', 'RFC 9113 8.2.2', get(['connection', 'close'])),
  reset('connection that names a header', 'RFC 9113 8.2.2', get(['connection', 'x-forwarded-for'])),
  reset('keep-alive', 'RFC 9113 8.2.2', get(['keep-alive', 'timeout=5'])),
  reset('proxy-connection', 'RFC 9113 8.2.2', get(['proxy-connection', 'keep-alive'])),
  reset('upgrade', 'RFC 9113 8.2.2; H2S, upgrade smuggling', get(['upgrade', 'websocket'])),
  reset('te other than trailers', 'RFC 9113 8.2.2', get(['te', 'gzip'])),
  {
    what: 'te: trailers',
    source: 'RFC 9113 8.2.2',
    frames: get(['te', 'trailers']),
    expect: { with: /^te: trailers$/m }
  },
  {
    what: 'http2-settings',
    source: 'RFC 9113 3.1; h2c smuggling',
    frames: get(['http2-settings', 'AAMAAABk']),
    expect: { without: /http2-settings/i }
  },

  reset(
    'content-length below the body',
    'RFC 9113 8.1.1; H2S, H2.CL',
    post([['content-length', '0']], 'GET /smuggled HTTP/1.1\r\n\r\n')
  ),
  reset('content-length above the body', 'RFC 9113 8.1.1', post([['content-length', '9']], 'short')),
  reset('content-length and no body', 'RFC 9113 8.1.1', get(['content-length', '5'])),
  reset(
    'two content-lengths',
    'RFC 9110 8.6; CVE-2021-31618',
    post(
      [
        ['content-length', '4'],
        ['content-length', '4']
      ],
      'body'
    )
  ),
  reset(
    'two content-lengths that differ',
    'RFC 9110 8.6',
    post(
      [
        ['content-length', '4'],
        ['content-length', '0']
      ],
      'body'
    )
  ),
  reset('a list of content-lengths', 'RFC 9110 8.6', post([['content-length', '4, 4']], 'body')),
  reset('a content-length with a sign', 'RFC 9110 8.6', post([['content-length', '+4']], 'body')),
  reset('a negative content-length', 'RFC 9110 8.6', post([['content-length', '-1']], 'body')),
  reset('a hexadecimal content-length', 'RFC 9110 8.6', post([['content-length', '0x4']], 'body')),
  reset('a content-length beyond 64 bits', 'RFC 9110 8.6', post([['content-length', '18446744073709551620']], 'body')),
  {
    what: 'a content-length with zeros before it',
    source: 'RFC 9110 8.6',
    frames: post([['content-length', '0004']], 'body'),
    expect: { with: /^content-length: 4$/m, body: 'body' }
  },
  {
    what: 'a body that looks like the end of another',
    source: 'H2S, H2.TE',
    frames: post([], '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n'),
    expect: {
      with: /^transfer-encoding: chunked$/m,
      body: '2d\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n\r\n0\r\n\r\n'
    }
  },
  {
    what: 'empty DATA before the body',
    source: 'RFC 9113 6.1',
    frames: [...post([], 'x').slice(0, 1), data(1, ''), data(1, 'body'), data(1, '', END_STREAM)],
    expect: { body: '4\r\nbody\r\n0\r\n\r\n' }
  },

  reset('no :method', 'RFC 9113 8.3.1', only([':scheme', 'http'], [':authority', 'a.test'], [':path', '/'])),
  reset('no :scheme', 'RFC 9113 8.3.1', only([':method', 'GET'], [':authority', 'a.test'], [':path', '/'])),
  reset('no :path', 'RFC 9113 8.3.1', only([':method', 'GET'], [':scheme', 'http'], [':authority', 'a.test'])),
  reset('neither :authority nor Host', 'RFC 9113 8.3.1', only([':method', 'GET'], [':scheme', 'http'], [':path', '/'])),
  {
    what: 'Host in place of :authority',
    source: 'RFC 9113 8.3.1',
    frames: only([':method', 'GET'], [':scheme', 'http'], [':path', '/'], ['host', 'b.test']),
    expect: { with: /^host: b\.test$/m }
  },
  ...[':method', ':scheme', ':authority', ':path'].map((name) =>
    reset(`${name} twice`, 'RFC 9113 8.3', only([name, name === ':path' ? '/b' : 'b'], ...pseudo('GET', '/', 'a.test')))
  ),
  reset('a pseudo-header field behind others', 'RFC 9113 8.3', get(['x-odd', 'a'], [':path', '/b'])),
  reset('an unknown pseudo-header field', 'RFC 9113 8.3', get([':x-odd', 'a'])),
  reset('a pseudo-header field of responses', 'RFC 9113 8.3', get([':status', '200'])),
  { what: 'another Host beside :authority', source: 'RFC 9113 8.3.1', frames: get(['host', 'b.test']), expect: 400 },
  {
    what: 'the same Host beside :authority',
    source: 'RFC 9113 8.3.1',
    frames: get(['host', 'A.test']),
    expect: { with: /^host: a\.test$/m }
  },
  reset('two Hosts', 'RFC 9112 3.2', get(['host', 'a.test'], ['host', 'a.test'])),

  ...[
    ['an empty :path', ''],
    ['a :path without a slash', 'smuggled'],
    ['an absolute :path', 'http://b.test/'],
    ['a space in :path', '/a HTTP/1.1'],
    ['CR LF in :path', '/ HTTP/1.1\r\nsmuggled: 1'],
    ['NUL in :path', '/\0'],
    ['* as :path of GET', '*']
  ].map(([what = '', path = '']) =>
    reset(what, 'RFC 9113 8.3.1; H2S, request line injection', only(...pseudo('GET', path, 'a.test')))
  ),
  ...[
    ['a fragment in :path', '/#a'],
    ['a dot segment in :path', '/a/../b'],
    ['a backslash in :path', '/\\b.test']
  ].map(
    ([what = '', path = '']): Row => ({
      what,
      source: 'RFC 9110 4.2.5; docs/routing.md',
      frames: only(...pseudo('GET', path, 'a.test')),
      expect: 400
    })
  ),
  ...['GET / HTTP/1.1\r\nsmuggled: 1', 'GE T', '', 'GET\0'].map((method) =>
    reset(
      `${JSON.stringify(method)} as :method`,
      'RFC 9110 9.1; H2S, request line injection',
      only(...pseudo(method, '/', 'a.test'))
    )
  ),
  {
    what: 'a :method in lower case',
    source: 'RFC 9110 9.1',
    frames: only(...pseudo('get', '/', 'a.test')),
    expect: 404
  },
  ...['http://b.test/?', 'ht\r\ntp', '1', ''].map((scheme) =>
    reset(
      `${JSON.stringify(scheme)} as :scheme`,
      'RFC 9113 8.3.1; H2S, URL prefix injection',
      only(...pseudo('GET', '/', 'a.test', scheme))
    )
  ),
  {
    what: 'a :scheme that is not of the web',
    source: 'RFC 9113 8.3.1',
    frames: only(...pseudo('GET', '//b.test/', 'a.test', 'ftp')),
    expect: 400
  },
  {
    what: 'an absolute :path with another :scheme',
    source: 'H2S, ambiguous paths',
    frames: only(...pseudo('GET', 'http://b.test/', 'a.test', 'x')),
    expect: 400
  },
  ...['', 'a b', 'a.test/b', 'a\r\nsmuggled: 1', 'a\0'].map((authority) =>
    reset(`${JSON.stringify(authority)} as :authority`, 'RFC 9113 8.3.1', only(...pseudo('GET', '/', authority)))
  ),
  ...['user@a.test', 'a.test:80@b.test', 'a.test,b.test', 'a.test:x', '[::1'].map(
    (authority): Row => ({
      what: `${authority} as :authority`,
      source: 'RFC 9113 8.3.1',
      frames: only(...pseudo('GET', '/', authority)),
      expect: 'refused'
    })
  ),

  {
    what: 'CONNECT',
    source: 'RFC 9113 8.5',
    frames: only([':method', 'CONNECT'], [':authority', 'a.test:80']),
    expect: 405
  },
  reset('CONNECT with :path', 'RFC 9113 8.5', only(...pseudo('CONNECT', '/', 'a.test:80'))),
  reset(
    'extended CONNECT, which was not offered',
    'RFC 8441 4',
    only(...pseudo('CONNECT', '/', 'a.test'), [':protocol', 'websocket'])
  ),

  reset('a pseudo-header field in trailers', 'RFC 9113 8.1', withTrailers([':path', '/smuggled'])),
  reset('transfer-encoding in trailers', 'RFC 9113 8.2.2', withTrailers(['transfer-encoding', 'chunked'])),
  reset('trailers that do not end the stream', 'RFC 9113 8.1', [
    ...post([], 'body').slice(0, 1),
    frame(HEADERS, END_HEADERS, 1, headers(1, [['x-sum', '1']]).subarray(9))
  ]),
  {
    what: 'CR LF in trailers',
    source: 'RFC 9113 8.2.1',
    frames: withTrailers(['x-odd', 'a\r\nsmuggled: 1'], ['x-sum', '1']),
    expect: { body: '4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n' }
  },
  {
    what: 'fields of the message in trailers',
    source: 'RFC 9110 6.5.1',
    frames: withTrailers(['authorization', 'x'], ['x-sum', '1']),
    expect: { body: '4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n' }
  }
]

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const LINE = new RegExp(`^${TOKEN} [!-~]+ HTTP/1\\.1$`)
const FIELD = new RegExp(`^(${TOKEN}): (?! )[ -~\\x80-\\xff]*(?<! )$`)

/** A request that no parser can read in two ways. */
function assertUnambiguous(head: string): void {
  const [line = '', ...fields] = head.split('\r\n')
  const names = fields.map((field) => FIELD.exec(field)?.[1]?.toLowerCase())
  const count = (name: string) => names.filter((other) => other === name).length
  assert.match(line, LINE)
  assert.ok(!names.includes(undefined), head)
  assert.equal(count('host'), 1, head)
  assert.ok(count('content-length') + count('transfer-encoding') <= 1, head)
}

/** Resolves with what became of stream 1: `reset`, or a status. */
async function outcomeOf({ frames }: FramePeer): Promise<number | 'reset'> {
  const find = () => frames.find(({ type, id }) => type === GOAWAY || (id === 1 && type !== WINDOW_UPDATE))
  await eventually(() => find() !== undefined, 'nothing becomes of the request')
  const answer = find()
  if (answer?.type === HEADERS) return statusOf(answer)
  assert.ok(answer !== undefined && [PROTOCOL_ERROR, INTERNAL_ERROR].includes(errorCode(answer)))
  return 'reset'
}

function assertOutcome(outcome: number | 'reset', expect: Row['expect']): void {
  if (expect === 'refused') assert.ok(outcome === 'reset' || outcome === 400, `${outcome}`)
  else assert.equal(outcome, typeof expect === 'object' ? 200 : expect)
}

test('what an HTTP/2 request may hold reaches an HTTP/1.1 target unambiguously, or not at all', async (t) => {
  const target = await startRecordingTarget(t, OK)
  const { port } = await startServer(t, [target.url])

  for (const { what, source, frames, expect } of rows) {
    await t.test(`${what} [${source}]`, async (t) => {
      target.requests.length = 0
      const client = connectFrames(t, port)

      client.send(...frames)
      assertOutcome(await outcomeOf(client), expect)
      const next = client.frames.some(({ type }) => type === GOAWAY) ? connectFrames(t, port) : client
      next.send(headers(3, pseudo('GET', '/after', 'a.test')))
      assert.equal(await next.status(3), 200)

      const [request, ...others] = target.requests
      for (const { head } of target.requests) assertUnambiguous(head)
      assert.doesNotMatch(target.requests.map(({ head }) => head).join('\r\n'), /smuggled/i)
      if (typeof expect !== 'object') {
        assert.deepEqual([request?.head.split(' ')[1], others.length], ['/after', 0])
        return
      }
      assert.equal(target.requests.length, 2)
      if (expect.with !== undefined) assert.match(request?.head ?? '', expect.with)
      if (expect.without !== undefined) assert.doesNotMatch(request?.head ?? '', expect.without)
      if (expect.body !== undefined) assert.equal(request?.body, expect.body)
    })
  }
})
