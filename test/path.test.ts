import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalPath, encodePath, pathFault, readTarget } from '../plugins/proxy/routing/path.ts'

const forwarded = [
  { url: '/', match: '/' },
  { url: '/users/7', match: '/users/7' },
  { url: "/-._~!$&'()*+,;=:@", match: "/-._~!$&'()*+,;=:@" },
  { url: '/a%2Fb/c%2fd', match: '/a%2Fb/c%2Fd', source: 'Traefik TestEscapedPath' },
  { url: '/a%252Fb%2520', match: '/a%252Fb%2520', source: 'YARP RequestUtilitiesTests' },
  { url: '/%7euser/%41%5a%2d', match: '/~user/AZ-', source: 'RFC 3986, section 6.2.2.2' },
  { url: '/a%3ab%40c%3bd', match: '/a:b@c;d' },
  { url: '/%e2%82%ac', match: '/%E2%82%AC', source: 'RFC 3986, section 6.2.2.1' },
  { url: '/caf\xc3\xa9', match: '/caf%C3%A9' },
  { url: '/"<>[]^`{|}', match: '/%22%3C%3E%5B%5D%5E%60%7B%7C%7D' },
  { url: '/%5B...slug%5D.js', match: '/%5B...slug%5D.js', source: '@fastify/reply-from #460' },
  { url: '//secret', match: '/secret', source: 'CVE-2026-2880' },
  { url: '/%73ecret', match: '/secret', source: 'CVE-2026-2880' },
  { url: '/a///b//', match: '/a/b/' },
  { url: '/a/%2F/b', match: '/a/%2F/b' },
  { url: '//evil.example/x', match: '/evil.example/x' },
  { url: '/.hidden/..a/a../...', match: '/.hidden/..a/a../...' },
  { url: '/a;v=1/b;', match: '/a;v=1/b;' },
  { url: '/%252e%252e/x', match: '/%252e%252e/x' }
]

for (const { url, match } of forwarded) {
  test(`${JSON.stringify(url)} is kept byte for byte and matched as ${match}`, () => {
    const target = readTarget(url, 'GET')

    assert.deepEqual(target, { path: url, query: '', match, authority: undefined })
  })
}

const refused = [
  { url: '/a b', reason: 'space or control character' },
  { url: '/a\x00', reason: 'space or control character' },
  { url: '/a\x7f', reason: 'space or control character' },
  { url: '/\u20ac', reason: 'character that is not a byte' },
  { url: '/a?x\ty', reason: 'space or control character' },
  { url: '/a?\u20ac', reason: 'character that is not a byte' },
  { url: '/path\\file', reason: 'backslash' },
  { url: '/path#frag', reason: 'fragment' },
  { url: '/path%00.html', reason: 'encoded NUL' },
  { url: '/100%', reason: 'malformed percent-escape' },
  { url: '/bar%1', reason: 'malformed percent-escape' },
  { url: '/%zz', reason: 'malformed percent-escape' },
  { url: '/%4g', reason: 'malformed percent-escape' },
  { url: '/.', reason: 'dot segment' },
  { url: '/./a', reason: 'dot segment' },
  { url: '/foo/bar/..', reason: 'dot segment' },
  { url: '/foo/bar/../', reason: 'dot segment' },
  { url: '/foo/%2e%2e/bar', reason: 'dot segment' },
  { url: '/foo/%2E./bar', reason: 'dot segment' },
  { url: '/foo/.%2e%2fbar', reason: 'dot segment' },
  { url: '/foo%2f..%2fbar', reason: 'dot segment' },
  { url: '/pub/dir%5c..%5csecret', reason: 'dot segment' },
  { url: '/pub/%5C..', reason: 'dot segment' },
  { url: '/a/..;/b', reason: 'dot segment' },
  { url: '/a/..;x=1/b', reason: 'dot segment' },
  { url: '/a/%2e%2e%3bx/b', reason: 'dot segment' },
  { url: '/a/.;', reason: 'dot segment' },
  { url: '', reason: 'neither a path nor an http URL' },
  { url: 'admin/a/b', reason: 'neither a path nor an http URL' },
  { url: 'foo@127.0.0.1:1/', reason: 'neither a path nor an http URL' },
  { url: 'haproxy.org:80', reason: 'neither a path nor an http URL' },
  { url: 'ftp://gw.test/', reason: 'neither a path nor an http URL' },
  { url: 'http:///x', reason: 'no host in the URL' },
  { url: 'http://gw.test/a/../b', reason: 'dot segment' },
  { url: 'http://gw.test#x', reason: 'fragment' },
  { url: 'http://gw.test?a b', reason: 'space or control character' },
  { url: '*', reason: 'asterisk form with a method other than OPTIONS' }
]

for (const { url, reason } of refused) {
  test(`${JSON.stringify(url)} is refused: ${reason}`, () => {
    assert.equal(readTarget(url, 'GET'), reason)
  })
}

const queries = ['?', '??', '?x=?y=/../z', '?a=%zz&b=%', '?a=1%2B2+3&c=%7E~&d', '?a=\\..\\#"<>|{}^`', '?\xff']

for (const query of queries) {
  test(`the query ${JSON.stringify(query)} is none of the gateway's business`, () => {
    const target = readTarget(`/p${query}`, 'GET')

    assert.deepEqual(target, { path: '/p', query, match: '/p', authority: undefined })
  })
}

const otherForms = [
  { url: 'http://gw.test/a//b?c', path: '/a//b', query: '?c', match: '/a/b', authority: 'gw.test' },
  { url: 'HTTPS://gw.test:8443/a', path: '/a', query: '', match: '/a', authority: 'gw.test:8443' },
  { url: 'http://gw.test', path: '/', query: '', match: '/', authority: 'gw.test' },
  { url: 'http://gw.test?a=/b', path: '/', query: '?a=/b', match: '/', authority: 'gw.test' },
  { url: 'http://user@gw.test/', path: '/', query: '', match: '/', authority: 'user@gw.test' },
  { method: 'OPTIONS', url: '*', path: '*', query: '', match: '*', authority: undefined },
  { method: 'OPTIONS', url: 'http://gw.test', path: '*', query: '', match: '*', authority: 'gw.test' },
  { method: 'OPTIONS', url: 'http://gw.test/', path: '/', query: '', match: '/', authority: 'gw.test' }
]

for (const { method = 'GET', url, ...expected } of otherForms) {
  test(`${method} ${url} is taken apart`, () => {
    assert.deepEqual(readTarget(url, method), expected)
  })
}

test('a canonical path is its own canonical spelling and has no fault', () => {
  for (const { match } of forwarded) {
    assert.equal(canonicalPath(match), match)
    assert.equal(pathFault(match), undefined)
  }
})

test('all spellings of one byte have one canonical spelling', () => {
  for (let code = 1; code < 256; code++) {
    const hex = code.toString(16).padStart(2, '0')
    const spellings = [`/x%${hex}x`, `/x%${hex.toUpperCase()}x`]
    const raw = `/x${String.fromCharCode(code)}x`
    if (pathFault(raw) === undefined && raw !== '/x%x' && raw !== '/x/x') spellings.push(raw)

    assert.equal(new Set(spellings.map(canonicalPath)).size, 1)
  }
})

test('a configured path is escaped as UTF-8 where a request line could not hold it', () => {
  assert.equal(encodePath('/café/a b/%41'), '/caf%C3%A9/a%20b/%41')
})

test('a question mark in a path that should have none is a fault', () => {
  assert.equal(pathFault('/a?b'), 'question mark in the path')
})
