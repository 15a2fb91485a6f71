import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { pick, RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'

type Context = Parameters<typeof startGateway>[0]

/** The request target that arrives at the target. */
async function sentUrl(t: Context, path: string, route: object): Promise<string> {
  const target = await startTarget(t, (request, response) => response.end(request.url))
  const gateway = await startGateway(t, [target.url], { route })
  const client = new RawClient(t, gateway.port)
  client.write(`GET ${path} HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n`)
  const reply = await client.end()
  return reply.startsWith('HTTP/1.1 200 ') ? reply.slice(reply.indexOf('\r\n\r\n') + 4) : reply.slice(9, 12)
}

conformsEach(
  'RequestUtilitiesTests.MakeDestinationAddress',
  'a base, a path and a query make one request target',
  [
    { prefix: '/', url: '/', sent: '/' },
    { prefix: '/', url: '/?query', sent: '/?query' },
    { prefix: '/', url: '/path?query', sent: '/path?query' },
    { prefix: '/', url: '/path/?query', sent: '/path/?query' },
    { prefix: '/base', url: '/path?query', sent: '/base/path?query' },
    { prefix: '/base/', url: '/path?query', sent: '/base/path?query' },
    { prefix: '/base/', url: '/path/?query', sent: '/base/path/?query' },
    { prefix: '/base/', url: '/%E4%BD%A0?q%E5%A5%BD', sent: '/base/%E4%BD%A0?q%E5%A5%BD' },
    { prefix: '/base/', url: "/!$&'()*+,;=:@/%25%3F%23%5B%5D?q", sent: "/base/!$&'()*+,;=:@/%25%3F%23%5B%5D?q" },
    { prefix: '/base/', url: '/%252F%2520?q%20', sent: '/base/%252F%2520?q%20' }
  ],
  ({ prefix, url }) => `${prefix} and ${url}`,
  async (t, { prefix, url, sent }) => {
    assert.equal(await sentUrl(t, url, { rewrite: { prefix } }), sent)
  }
)

conformsEach(
  'RequestUtilitiesTests.GetHttpMethod_Get_Works, _Post_, _Put_, _Delete_, _Options_, _Head_, _Patch_',
  'the method of the client is the one the target reads',
  ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH'],
  (method) => method,
  async (t, method) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])

    assert.equal((await send(gateway.port, { method })).status, 200)
    assert.match(target.requests[0]?.head ?? '', new RegExp(`^${method} / HTTP/1\\.1\r\n`))
  }
)

conforms(
  'RequestUtilitiesTests.GetHttpMethod_Connect_Throws',
  'CONNECT is not a method to forward: it is a 405, and no target hears of it',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n')

    assert.match(await client.end(), /^HTTP\/1\.1 405 /)
    assert.equal(target.connections(), 0)
  }
)

differs(
  "RequestUtilitiesTests.GetHttpMethod_Invalid_Throws ('GET ')",
  'two spaces after the method are read as one, and one goes out',
  'RFC 9112, section 3 allows it, and the parser of Node.js does so',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('GET  / HTTP/1.1\r\nHost: a\r\n\r\n')

    await client.until('\r\n\r\nok')
    assert.match(target.requests[0]?.head ?? '', /^GET \/ HTTP\/1\.1\r\n/)
  }
)

conforms('RequestUtilitiesTests.ValidPathCharacters', 'what may stand in a path is not escaped', async (t) => {
  const path = "/!$&'()*+,-./0123456789:;=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"

  assert.equal(await sentUrl(t, path, { rewrite: { prefix: '/v1' } }), `/v1${path}`)
})

differs(
  'RequestUtilitiesTests.InvalidPathCharacters',
  'what must not stand in a path is not escaped either: it passes as it is, or is a 400',
  'what was matched is what is forwarded; a path that may be read in two ways is refused',
  async (t) => {
    const results = []
    for (const char of '"<>[]^`{|}') results.push(await sentUrl(t, `/a${char}b`, {}))
    for (const char of ['#', '\\', '%']) results.push(await sentUrl(t, `/a${char}b`, {}))

    assert.deepEqual(results, [...[...'"<>[]^`{|}'].map((char) => `/a${char}b`), '400', '400', '400'])
  }
)

conformsEach(
  'PathStringTransformTests.Set_Path_Success',
  'a path is replaced, gets a prefix, or loses one',
  [
    { route: { rewrite: { path: '/value' } }, url: '/foo', sent: '/value' },
    { route: { rewrite: { prefix: '/value' } }, url: '/foo', sent: '/value/foo' },
    { route: { match: { path: '/value/*' }, rewrite: { prefix: '/' } }, url: '/value/foo', sent: '/foo' }
  ],
  ({ route }) => JSON.stringify(route),
  async (t, { route, url, sent }) => {
    assert.equal(await sentUrl(t, url, route), sent)
  }
)

conformsEach(
  'QueryParameterFromStaticTransformTests',
  'a query rule appends or replaces a parameter',
  [
    { query: { add: { z: 'foo' } }, url: '/', sent: '/?z=foo' },
    { query: { add: { z: 'foo' } }, url: '/?z=1', sent: '/?z=1&z=foo' },
    { query: { add: { z: '' } }, url: '/', sent: '/?z=' },
    { query: { add: { z: '' } }, url: '/?z=1', sent: '/?z=1&z=' },
    { query: { set: { z: 'foo' } }, url: '/?z=1', sent: '/?z=foo' },
    { query: { set: { z: 'foo' } }, url: '/', sent: '/?z=foo' },
    { query: { set: { z: '' } }, url: '/', sent: '/?z=' },
    { query: { set: { z: '' } }, url: '/?z=foo', sent: '/?z=' },
    { query: { set: { z: '' } }, url: '/?x=1', sent: '/?x=1&z=' }
  ],
  ({ query, url }) => `${JSON.stringify(query)} on ${url}`,
  async (t, { query, url, sent }) => {
    assert.equal(await sentUrl(t, url, { request: { query } }), sent)
  }
)

conformsEach(
  'QueryParameterRemoveTransformTests',
  'a query rule removes a parameter and leaves the others',
  [
    { remove: ['z'], url: '/?z=1', sent: '/' },
    { remove: ['z'], url: '/?z=1&a=2', sent: '/?a=2' },
    { remove: ['a'], url: '/?z=1', sent: '/?z=1' }
  ],
  ({ remove, url }) => `${remove} on ${url}`,
  async (t, { remove, url, sent }) => {
    assert.equal(await sentUrl(t, url, { request: { query: { remove } } }), sent)
  }
)

differs(
  'QueryTransformContextTests.Collection_TryGetValue_CaseInsensitive, Collection_RemoveKey_CaseInsensitive',
  'names of parameters are compared with case',
  'so are URLs (RFC 3986, section 6.2.2.1); to most targets `Z` is another parameter than `z`',
  async (t) => {
    assert.equal(await sentUrl(t, '/?z=1&Z=2', { request: { query: { remove: ['Z'] } } }), '/?z=1')
  }
)

conformsEach(
  'RequestHeaderValueTransformTests.AddHeader_Success',
  'a header rule sets a request header, or adds to it',
  [
    { lines: [], rule: 'set', expected: ['new,value'] },
    { lines: [], rule: 'add', expected: ['new,value'] },
    { lines: ['start,value'], rule: 'set', expected: ['new,value'] },
    { lines: ['start', 'value'], rule: 'set', expected: ['new,value'] },
    { lines: ['start,value'], rule: 'add', expected: ['start,value', 'new,value'] },
    { lines: ['start', 'value'], rule: 'add', expected: ['start', 'value', 'new,value'] }
  ],
  ({ lines, rule }) => `${rule} after ${JSON.stringify(lines)}`,
  async (t, { lines, rule, expected }) => {
    const target = await startRecordingTarget(t)
    const headers = { [rule]: { name: 'new,value' } }
    const gateway = await startGateway(t, [target.url], { route: { request: { headers } } })

    await send(gateway.port, { headers: { name: lines } })

    assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'name'), expected)
  }
)

conformsEach(
  'RequestHeaderRemoveTransformTests.RemoveHeader_Success',
  'a header rule removes every line of a request header, in any case, and no other header',
  ['h2', 'H2', 'other'],
  (name) => name,
  async (t, name) => {
    const target = await startRecordingTarget(t)
    const route = { request: { headers: { remove: [name] } } }
    const gateway = await startGateway(t, [target.url], { route })

    await send(gateway.port, { headers: { h1: '1', h2: ['2', '3'], h3: '4' } })

    const names = (target.requests[0]?.head ?? '').match(/^h\d/gm)
    assert.deepEqual(names, name === 'other' ? ['h1', 'h2', 'h2', 'h3'] : ['h1', 'h3'])
  }
)

conformsEach(
  'ResponseHeaderValueTransformTests.AddResponseHeader_Success',
  'a header rule sets a response header, or adds to it, whatever the status',
  [
    { status: 200, rule: 'set', expected: ['new'] },
    { status: 400, rule: 'set', expected: ['new'] },
    { status: 200, rule: 'add', expected: ['start', 'value', 'new'] },
    { status: 400, rule: 'add', expected: ['start', 'value', 'new'] }
  ],
  ({ status, rule }) => `${rule}, ${status}`,
  async (t, { status, rule, expected }) => {
    const target = await startTarget(t, (_request, response) =>
      response.writeHead(status, { name: ['start', 'value'] }).end()
    )
    const route = { response: { headers: { [rule]: { name: 'new' } } } }
    const gateway = await startGateway(t, [target.url], { route })

    assert.deepEqual(pick((await send(gateway.port)).raw, 'name'), expected)
  }
)

conformsEach(
  'ResponseHeaderRemoveTransformTests.RemoveHeader_Success',
  'a header rule removes every line of a response header, and no other header',
  ['h2', 'H2', 'other'],
  (name) => name,
  async (t, name) => {
    const target = await startTarget(t, (_request, response) => {
      response.writeHead(404, { h1: '1', h2: ['2', '3'], h3: '4' }).end()
    })
    const gateway = await startGateway(t, [target.url], { route: { response: { headers: { remove: [name] } } } })

    const { raw } = await send(gateway.port)

    const names = raw.filter((item, i) => i % 2 === 0 && /^h\d$/.test(item))
    assert.deepEqual(names, name === 'other' ? ['h1', 'h2', 'h2', 'h3'] : ['h1', 'h3'])
  }
)
