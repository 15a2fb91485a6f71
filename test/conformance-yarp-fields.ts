import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { pick, RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { startRecordingTarget } from './recording-target.ts'

/** The head that the target gets of a request with these lines. */
async function sentFor(t: Parameters<typeof startGateway>[0], lines: string): Promise<string> {
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)
  client.write(Buffer.from(`GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n${lines}\r\n`, 'latin1'))
  await client.end()
  return target.requests[0]?.head ?? ''
}

conforms('HeaderTests.ProxyAsync_EmptyRequestHeader_Proxied', 'an empty request header arrives empty', async (t) => {
  const sent = await sentFor(t, 'Referer: \r\ncustom:\r\n')

  assert.deepEqual(valuesOf(sent, 'referer'), [''])
  assert.deepEqual(valuesOf(sent, 'custom'), [''])
})

conforms('HeaderTests.ProxyAsync_EmptyResponseHeader_Proxied', 'an empty response header arrives empty', async (t) => {
  const target = await startRecordingTarget(
    t,
    'HTTP/1.1 200 OK\r\nWWW-Authenticate:\r\ncustom: \r\ncontent-length: 0\r\n\r\n'
  )
  const gateway = await startGateway(t, [target.url])

  const reply = await send(gateway.port)

  assert.deepEqual(pick(reply.raw, 'www-authenticate'), [''])
  assert.deepEqual(pick(reply.raw, 'custom'), [''])
})

const ADDRESSES = [
  { encoding: 'UTF-8', bytes: Buffer.from('http://www.ěšč.test', 'utf8').toString('latin1') },
  { encoding: 'ISO 8859-1', bytes: 'http://www.çáé.test' }
]

conformsEach(
  'HeaderTests.ProxyAsync_RequestWithEncodedHeaderValue',
  'the bytes of a request header arrive, whatever their encoding',
  ADDRESSES,
  ({ encoding }) => encoding,
  async (t, { bytes }) => {
    assert.deepEqual(valuesOf(await sentFor(t, `Referer: ${bytes}\r\n`), 'referer'), [bytes])
  }
)

differs(
  'HeaderTests.ProxyAsync_ResponseWithEncodedHeaderValue',
  'the bytes of a response header arrive, whatever their encoding',
  'RFC 9110, section 5.5 allows bytes above 7F; YARP answers 502, since Kestrel cannot write them',
  async (t) => {
    for (const { bytes } of ADDRESSES) {
      const answer = `HTTP/1.1 200 OK\r\nLocation: ${bytes}\r\ncontent-length: 0\r\n\r\n`
      const target = await startRecordingTarget(t, answer)
      const gateway = await startGateway(t, [target.url])
      const client = new RawClient(t, gateway.port)

      client.write('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n')

      assert.deepEqual(valuesOf(await client.until('\r\n\r\n'), 'location'), [bytes])
    }
  }
)

differs(
  'HeaderTests.ContentLengthAndTransferEncoding_ContentLengthRemoved',
  'a request with both content-length and transfer-encoding is a 400',
  'RFC 9112, section 6.1 counts it as an attempt to smuggle, and allows to refuse it',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')

    assert.match(await client.end(), /^HTTP\/1\.1 400 /)
    assert.equal(target.requests.length, 0)
  }
)

differs(
  'HttpTransformerTests.TransformRequestAsync_ContentLengthAndTransferEncoding_ContentLengthRemoved',
  'nor does it help to spell chunked in another way',
  'as above',
  async (t) => {
    assert.equal(await sentFor(t, 'Content-Length: 10\r\nTransfer-Encoding: chUnked\r\n'), '')
  }
)

differs(
  'HttpTransformerTests.TransformResponseAsync_ContentLengthAndTransferEncoding_ContentLengthRemoved',
  'a response with both content-length and transfer-encoding is a 502',
  'a target that says two things about its body may mean either',
  async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url])

    assert.equal((await send(gateway.port)).status, 502)
  }
)

conformsEach(
  'HeaderTests.MultiValueRequestHeaders',
  'several lines of a request header mean the same at the target',
  ['Accept', 'Accept-Charset', 'Accept-Encoding', 'Accept-Language'],
  (name) => name,
  async (t, name) => {
    const sent = await sentFor(t, `${name}: p=1, q=2\r\n${name}: r=3\r\n`)

    assert.equal(valuesOf(sent, name.toLowerCase()).join(', '), 'p=1, q=2, r=3')
  }
)

conformsEach(
  'HeaderTests.MultiValueResponseHeaders',
  'several lines of a response header stay several',
  ['Allow', 'Content-Language', 'Set-Cookie', 'Via', 'Warning', 'WWW-Authenticate'],
  (name) => name,
  async (t, name) => {
    const answer = `HTTP/1.1 200 OK\r\n${name}: p=1, q=2\r\n${name}: r=3\r\ncontent-length: 0\r\n\r\n`
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url])

    assert.deepEqual(pick((await send(gateway.port)).raw, name.toLowerCase()), ['p=1, q=2', 'r=3'])
  }
)

conformsEach(
  'HttpForwarderTests.RequestWithCookieHeaders',
  'cookies arrive in one header, joined by semicolons',
  [
    { lines: ['a=1; b=2'], joined: 'a=1; b=2' },
    { lines: ['a=1', 'b=2', 'c=3'], joined: 'a=1; b=2; c=3' },
    { lines: ['a=1, b=2', 'c=3'], joined: 'a=1, b=2; c=3' }
  ],
  ({ lines }) => lines.join(' | '),
  async (t, { lines, joined }) => {
    const sent = await sentFor(t, lines.map((line) => `Cookie: ${line}\r\n`).join(''))

    assert.deepEqual(valuesOf(sent, 'cookie'), [joined])
  }
)

conforms('HttpProxyCookieTests.ProxyAsync_RequestWithCookieHeaders', 'the order of cookies is kept', async (t) => {
  assert.deepEqual(valuesOf(await sentFor(t, 'Cookie: z=1; a=2\r\n'), 'cookie'), ['z=1; a=2'])
})

conforms(
  'HttpTransformerTests.TransformRequestAsync_TETrailers_Copied',
  'TE: traiLers arrives as te: trailers',
  async (t) => {
    assert.deepEqual(valuesOf(await sentFor(t, 'TE: traiLers\r\n'), 'te'), ['trailers'])
  }
)

conforms('HttpTransformerTests.TransformRequestAsync_KeepOriginalHost', 'the Host of the client is kept', async (t) => {
  assert.deepEqual(valuesOf(await sentFor(t, ''), 'host'), ['gw.test'])
})

conforms(
  'HttpTransformerTests.TransformResponseAsync_ContentLength0OnBodylessStatusCode_ContentLengthRemoved (204)',
  'a 204 announces no length',
  async (t) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n')
    const gateway = await startGateway(t, [target.url])

    const reply = await send(gateway.port)

    assert.equal(reply.status, 204)
    assert.deepEqual([...pick(reply.raw, 'content-length'), ...pick(reply.raw, 'transfer-encoding')], [])
  }
)

differs(
  'HttpTransformerTests.TransformResponseAsync_ContentLength0OnBodylessStatusCode_ContentLengthRemoved (205)',
  'a 205 keeps its content-length: 0',
  'RFC 9110, section 15.3.6: that is how a 205 says that it has no content',
  async (t) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n')
    const gateway = await startGateway(t, [target.url])

    const reply = await send(gateway.port)

    assert.equal(reply.status, 205)
    assert.deepEqual(pick(reply.raw, 'content-length'), ['0'])
  }
)

differs(
  'HttpTransformerTests.TransformResponseAsync_StrictTransportSecurity_CopiedIfNotPresent',
  'where app and target both set Strict-Transport-Security, the one of the target counts',
  'so it is for all headers that hooks set on the reply; `response.headers.set` of the route counts before both',
  async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nstrict-transport-security: max-age=1\r\ncontent-length: 0\r\n\r\n'
    const target = await startRecordingTarget(t, answer)
    const ruled = { response: { headers: { set: { 'strict-transport-security': 'max-age=3' } } } }
    const replies = []
    for (const route of [{}, ruled]) {
      const gateway = await startGateway(t, [target.url], {
        route,
        prepare: (app) => {
          app.addHook('onRequest', async (_request, reply) => {
            reply.header('strict-transport-security', 'max-age=2')
          })
        }
      })
      replies.push(await send(gateway.port))
    }

    assert.deepEqual(
      replies.map(({ raw }) => pick(raw, 'strict-transport-security')),
      [['max-age=1'], ['max-age=3']]
    )
  }
)
