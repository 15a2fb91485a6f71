import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadHostError, BadPathError, InvalidRouteError } from '../plugins/errors.ts'
import type { ClientView } from '../plugins/proxy/client-view.ts'
import { compileRedirect } from '../plugins/proxy/routing/redirect.ts'
import { path, type RouteSketch, route } from './route-helper.ts'

type Sketch = Partial<NonNullable<RouteSketch['redirect']>>

const HTTP: ClientView = { scheme: 'http', authority: 'gw.test:8080', port: 8080 }
const HTTPS: ClientView = { scheme: 'https', authority: 'gw.test', port: 443 }

function locate(redirect: Sketch, client = HTTP, url = '/users/7?a', match = '/users/*', mount = ''): string {
  const [at = '', ...query] = url.split(/(?=\?)/)
  const compiled = compileRedirect(
    route({ match: { path: path(match) }, redirect: { status: 302, ...redirect } }),
    mount
  )
  assert.ok(compiled !== undefined)
  return compiled.locate(client, at, query.join(''))
}

// The port rules of the Gateway API's RequestRedirect: a scheme brings its own port, else it is the listener's; the port
// that a scheme has anyway is left out.
const origins: { redirect: Sketch; http: string; https: string }[] = [
  { redirect: {}, http: 'http://gw.test:8080', https: 'https://gw.test' },
  { redirect: { host: 'example.org' }, http: 'http://example.org:8080', https: 'https://example.org' },
  { redirect: { host: '[::1]' }, http: 'http://[::1]:8080', https: 'https://[::1]' },
  { redirect: { scheme: 'https' }, http: 'https://gw.test', https: 'https://gw.test' },
  { redirect: { scheme: 'http' }, http: 'http://gw.test', https: 'http://gw.test' },
  { redirect: { port: 80 }, http: 'http://gw.test', https: 'https://gw.test:80' },
  { redirect: { port: 443 }, http: 'http://gw.test:443', https: 'https://gw.test' },
  { redirect: { scheme: 'https', port: 8443 }, http: 'https://gw.test:8443', https: 'https://gw.test:8443' },
  { redirect: { scheme: 'https', port: 443 }, http: 'https://gw.test', https: 'https://gw.test' },
  {
    redirect: { scheme: 'http', host: 'example.org', port: 80 },
    http: 'http://example.org',
    https: 'http://example.org'
  }
]

for (const { redirect, http, https } of origins) {
  test(`${JSON.stringify(redirect)} leads from http://gw.test:8080 to ${http}, from https://gw.test to ${https}`, () => {
    assert.equal(locate(redirect), `${http}/users/7?a`)
    assert.equal(locate(redirect, HTTPS), `${https}/users/7?a`)
  })
}

const paths: { url: string; match: string; change: Sketch; expected: string }[] = [
  { url: '/users', match: '/users/*', change: { path: '/people' }, expected: '/people' },
  { url: '/users/7?a=/b', match: '/users/*', change: { path: '/people' }, expected: '/people?a=/b' },
  { url: '/users/7?', match: '/users/*', change: { prefix: '/people/' }, expected: '/people/7?' },
  { url: '/users', match: '/users/*', change: { prefix: '/' }, expected: '/' },
  { url: '/users/', match: '/users/*', change: { prefix: '/people' }, expected: '/people/' },
  { url: '/us%65rs//a%2Fb', match: '/users/*', change: { prefix: '/people' }, expected: '/people//a%2Fb' },
  {
    url: '/old/7',
    match: '/*',
    change: { regex: { from: '^/old/(\\d+)', to: '/new/$1' } },
    expected: '/new/7'
  },
  { url: '/users//evil.example', match: '/users/*', change: { prefix: '/' }, expected: '//evil.example' },
  { url: '//evil.example/..a', match: '/*', change: {}, expected: '//evil.example/..a' },
  { url: '/caf\xc3\xa9?\xc3\xa9#x', match: '/*', change: {}, expected: '/caf%C3%A9?%C3%A9%23x' },
  { url: '/a"<|^b', match: '/*', change: {}, expected: '/a"<|^b' },
  { url: '/x', match: '/x', change: { path: '/caf\u00e9' }, expected: '/caf%C3%A9' }
]

for (const { url, match, change, expected } of paths) {
  test(`${url} with ${JSON.stringify(change)} becomes ${expected}`, () => {
    assert.equal(locate({ host: 'example.org', ...change }, HTTPS, url, match), `https://example.org${expected}`)
  })
}

test('under a mount the path is the whole one', () => {
  const at = (change: Sketch) => locate(change, HTTPS, '/api/users/7', '/users/*', '/api')

  assert.deepEqual(
    [at({}), at({ prefix: '/people' }), at({ path: '/people' })],
    ['https://gw.test/api/users/7', 'https://gw.test/people/7', 'https://gw.test/people']
  )
})

test('the host is the one that the client named, in its usual spelling', () => {
  assert.equal(locate({}, { scheme: 'https', authority: 'GW.Test.:443', port: 443 }, '/'), 'https://gw.test/')
  assert.equal(locate({}, { scheme: 'http', authority: '[::1]:8080', port: 8080 }, '/'), 'http://[::1]:8080/')
})

test('where no port can be known there is none', () => {
  assert.equal(locate({}, { scheme: 'http', authority: 'gw.test', port: undefined }, '/'), 'http://gw.test/')
})

test('a client that named no host is led to the host of the route, or nowhere', () => {
  const nameless: ClientView = { scheme: 'http', authority: '', port: 80 }

  assert.equal(locate({ host: 'example.org' }, nameless, '/'), 'http://example.org/')
  assert.throws(() => locate({}, nameless, '/'), BadHostError)
})

test('a regular expression leads to no unsafe path', () => {
  const regex = { from: '/a', to: '' }

  assert.throws(() => locate({ regex }, HTTP, '/a../x', '/*'), BadPathError)
})

test('a path that cannot be in a URL is refused at boot', () => {
  assert.throws(() => locate({ path: '/a/../b' }), InvalidRouteError)
  assert.throws(() => locate({ prefix: '/%zz' }), InvalidRouteError)
})

test('a route without redirect has none', () => {
  assert.equal(compileRedirect(route(), ''), undefined)
})
