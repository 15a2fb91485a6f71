import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { RawClient, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'

const AMBIGUOUS = ['x=1&x=2;y=3', 'x=1&x=%zz&y=3', 'x=%zz']

conformsEach(
  'TestReverseProxyQueryParameterSmugglingDirectorDoesNotParseForm',
  'a query that parsers read in different ways arrives as it was sent',
  AMBIGUOUS,
  (query) => query,
  async (t, query) => {
    const target = await startTarget(t, (request, response) => response.end(request.url))
    const gateway = await startGateway(t, [target.url])

    const reply = await send(gateway.port, { path: `/?${query}` })

    assert.equal(reply.body.toString(), `/?${query}`)
  }
)

conformsEach(
  'TestReverseProxyQueryParameterSmugglingRewritePreservesRawQuery',
  'a rewritten path leaves the bytes of the query alone',
  AMBIGUOUS,
  (query) => query,
  async (t, query) => {
    const target = await startTarget(t, (request, response) => response.end(request.url))
    const gateway = await startGateway(t, [target.url], { route: { rewrite: { path: '/new' } } })

    const reply = await send(gateway.port, { path: `/old?${query}` })

    assert.equal(reply.body.toString(), `/new?${query}`)
  }
)

differs(
  'TestReverseProxyQueryParameterSmugglingDirectorParsesForm',
  'a query is not cleaned of what the gateway would read otherwise, also where a route matches by query',
  'a route sees only the first parameter of a name; what the target makes of the rest is its own business',
  async (t) => {
    const target = await startTarget(t, (request, response) => response.end(request.url))
    const gateway = await startGateway(t, [target.url], { route: { match: { query: { x: '1' } } } })

    const replies = []
    for (const query of ['x=1&x=2;y=3', 'x=1&x=%zz&y=3']) replies.push(await send(gateway.port, { path: `/?${query}` }))

    assert.deepEqual(
      replies.map(({ body }) => body.toString()),
      ['/?x=1&x=2;y=3', '/?x=1&x=%zz&y=3']
    )
  }
)

differs(
  'TestReverseProxyQueryParameterSmugglingRewrite',
  'a query rule changes the parameters it names, and no byte of the others',
  'untouched parameters keep their bytes, so that nothing is lost that only the target understands',
  async (t) => {
    const target = await startTarget(t, (request, response) => response.end(request.url))
    const gateway = await startGateway(t, [target.url], { route: { request: { query: { set: { z: '9' } } } } })

    const reply = await send(gateway.port, { path: '/?x=1&x=2;y=3&x=%zz' })

    assert.equal(reply.body.toString(), '/?x=1&x=2;y=3&x=%zz&z=9')
  }
)

differs(
  'TestReverseProxyQueryParameterSmugglingRewrite',
  'a query of 40 KB is refused with 431',
  'the head of a request is bounded in bytes (`maxHeaderSize`), which bounds the parameters too',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`GET /?${'x=1&'.repeat(10_000)}x=1 HTTP/1.1\r\nHost: a\r\n\r\n`)
    const reply = await client.end()

    assert.match(reply, /^HTTP\/1\.1 431 /)
    assert.equal(target.requests.length, 0)
  }
)

conformsEach(
  'TestReverseProxyQuery',
  'parameters of the client and of the configuration are joined into one query',
  [
    { add: {}, query: '', sent: '' },
    { add: {}, query: '?mine=1', sent: '?mine=1' },
    { add: { fixed: '2' }, query: '', sent: '?fixed=2' },
    { add: { fixed: '2' }, query: '?mine=1', sent: '?mine=1&fixed=2' }
  ],
  ({ sent }) => sent || 'no query',
  async (t, { add, query, sent }) => {
    const target = await startTarget(t, (request, response) => response.end(request.url))
    const gateway = await startGateway(t, [target.url], { route: { request: { query: { add } } } })

    const reply = await send(gateway.port, { path: `/${query}` })

    assert.equal(reply.body.toString(), `/${sent}`)
  }
)

conformsEach(
  'TestSingleJoinSlash',
  'a prefix and a path are joined by one slash',
  [
    { prefix: '/base/', path: '/icon', sent: '/base/icon' },
    { prefix: '/base', path: '/icon', sent: '/base/icon' },
    { prefix: '/base', path: '/', sent: '/base/' },
    { prefix: '/', path: '/icon', sent: '/icon' }
  ],
  ({ prefix, path }) => `${prefix} and ${path}`,
  joins
)

conformsEach(
  'TestJoinURLPath',
  'escaped slashes of prefix and path stay escaped when they are joined',
  [
    { prefix: '/a/b', path: '/c', sent: '/a/b/c' },
    { prefix: '/a%2Fb', path: '/c', sent: '/a%2Fb/c' },
    { prefix: '/a%2Fb%2F', path: '/c', sent: '/a%2Fb%2F/c' },
    { prefix: '/a%2Fb/', path: '/c%2Fd', sent: '/a%2Fb/c%2Fd' }
  ],
  ({ prefix, path }) => `${prefix} and ${path}`,
  joins
)

async function joins(t: Parameters<typeof startTarget>[0], row: { prefix: string; path: string; sent: string }) {
  const target = await startTarget(t, (request, response) => response.end(request.url))
  const gateway = await startGateway(t, [target.url], { route: { rewrite: { prefix: row.prefix } } })

  const reply = await send(gateway.port, { path: row.path })

  assert.equal(reply.body.toString(), row.sent)
}

conforms(
  'TestReverseProxyRewriteReplacesOut',
  'path and Host for the target need have nothing to do with those of the client',
  async (t) => {
    const target = await startTarget(t, ({ url, headers }, response) => response.end(`${headers.host} ${url}`))
    const route = { match: { path: '/here/*' }, rewrite: { path: '/there', host: 'other.test' } }
    const gateway = await startGateway(t, [target.url], { route })

    const reply = await send(gateway.port, { path: '/here/too' })

    assert.equal(reply.body.toString(), 'other.test /there')
  }
)

conforms(
  'TestServeHTTPDeepCopy',
  'an app that asks after forwarding sees the URL that the client asked for',
  async (t) => {
    const target = await startRecordingTarget(t)
    const seen: unknown[] = []
    const gateway = await startGateway(t, [target.url], {
      route: { rewrite: { path: '/there' } },
      prepare: (app) => {
        app.addHook('onResponse', async ({ url, raw }) => {
          seen.push(url, raw.url)
        })
      }
    })

    await send(gateway.port, { path: '/here' })
    await gateway.app.close()

    assert.deepEqual(seen, ['/here', '/here'])
  }
)
