import assert from 'node:assert/strict'
import { conforms, conformsEach } from './conformance-helper.ts'
import { pick, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

type Context = Parameters<typeof startGateway>[0]

/** What a client gets of a header that the target makes from its own authority. */
async function headerFrom(t: Context, name: string, make: (own: string) => string, route: object) {
  const target = await startTarget(t, (_request, response) => {
    response.setHeader(name, make(new URL(target.url).host)).end()
  })
  const gateway = await startGateway(t, [target.url], { route: { match: { path: '/app/*' }, ...route } })
  const { raw } = await send(gateway.port, { path: '/app/test.html', headers: { host: 'gw.test' } })
  return { got: pick(raw, name), own: new URL(target.url).host }
}

const REVERSE = { rewrite: { prefix: '/inside', host: 'target', reverse: true } }
const PLAIN = { rewrite: { prefix: '/inside', host: 'target' } }

conformsEach(
  "proxy_cookie.t 'path rewrite', 'domain rewrite', 'domain and path rewrite'",
  'path and domain of a cookie become those of the client',
  [
    { cookie: () => 'v=path=domain=; Path=/inside/x', expected: 'v=path=domain=; Path=/app/x' },
    { cookie: () => 'v=path=domain=; Domain=127.0.0.1', expected: 'v=path=domain=; Domain=gw.test' },
    {
      cookie: () => 'v=path=domain=; Domain=127.0.0.1; Path=/inside/x',
      expected: 'v=path=domain=; Domain=gw.test; Path=/app/x'
    }
  ],
  ({ expected }) => expected,
  async (t, { cookie, expected }) => {
    const { got } = await headerFrom(t, 'set-cookie', cookie, REVERSE)

    assert.deepEqual(got, [expected])
  }
)

conforms(
  "proxy_cookie.t 'domain and path rewrite off'",
  'without rewrite.reverse a cookie reaches the client as it was sent',
  async (t) => {
    const cookie = 'v=path=domain=; Domain=127.0.0.1; Path=/inside/x'
    const { got } = await headerFrom(t, 'set-cookie', () => cookie, PLAIN)

    assert.deepEqual(got, [cookie])
  }
)

conformsEach(
  "proxy_redirect.t 'implicit default', 'explicit default'",
  'a redirect to the target becomes one to the place that the client asked',
  [
    { location: (own: string) => `http://${own}/inside/x?y#z`, expected: 'http://gw.test/app/x?y#z' },
    { location: () => '/inside/x', expected: '/app/x' },
    { location: () => 'http://other.test/inside/x', expected: 'http://other.test/inside/x' }
  ],
  ({ expected }) => expected,
  async (t, { location, expected }) => {
    const { got } = await headerFrom(t, 'location', location, REVERSE)

    assert.deepEqual(got, [expected])
  }
)

conforms(
  "proxy_redirect.t 'implicit default (refresh)', 'explicit default (refresh)'",
  'a Refresh header is treated in the same way',
  async (t) => {
    const { got } = await headerFrom(t, 'refresh', (own) => `7; url=http://${own}/inside/x`, REVERSE)

    assert.deepEqual(got, ['7; url=http://gw.test/app/x'])
  }
)

conforms(
  "proxy_redirect.t 'rewrite off'",
  'without rewrite.reverse a redirect reaches the client as it was sent',
  async (t) => {
    const { got, own } = await headerFrom(t, 'location', (host) => `http://${host}/inside/x`, PLAIN)

    assert.deepEqual(got, [`http://${own}/inside/x`])
  }
)
