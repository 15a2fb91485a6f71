import assert from 'node:assert/strict'
import { type IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import type { HashKey } from '../plugins/config/index.ts'
import { compileHashKey } from '../plugins/proxy/routing/hash-key.ts'

function read(key: HashKey | undefined, url: string, headers: IncomingHttpHeaders = {}): string | undefined {
  const message = new IncomingMessage(new Socket())
  message.url = url
  message.headers = headers
  return compileHashKey(key)?.(message, () => '10.0.0.1')
}

const user: HashKey = { from: 'cookie', name: 'user' }
const query: HashKey = { from: 'query', name: 'u' }

const cases: [string, HashKey, string, IncomingHttpHeaders, string | undefined][] = [
  ['ip is the address of the client', { from: 'ip' }, '/', {}, '10.0.0.1'],
  ['path ends before the query', { from: 'path' }, '/a%20b?c', {}, '/a%20b'],
  ['path without a query is all of it', { from: 'path' }, '/a', {}, '/a'],
  ['url has the query', { from: 'url' }, '/a?b', {}, '/a?b'],
  ['header is its value', { from: 'header', name: 'x-user' }, '/', { 'x-user': 'anna' }, 'anna'],
  [
    'header that occurs again is joined',
    { from: 'header', name: 'set-cookie' },
    '/',
    { 'set-cookie': ['a', 'b'] },
    'a, b'
  ],
  ['header that is missing is no key', { from: 'header', name: 'x-user' }, '/', {}, undefined],
  ['cookie among others', user, '/', { cookie: 'a=b; user=anna; c=d' }, 'anna'],
  ['cookie that comes first counts', user, '/', { cookie: 'user=anna; user=bert' }, 'anna'],
  ['cookie whose name only begins alike is another', user, '/', { cookie: 'username=x; xuser=y' }, undefined],
  ['cookie without a value is empty', user, '/', { cookie: 'user=' }, ''],
  ['cookie without a Cookie header is no key', user, '/', {}, undefined],
  ['query parameter among others', query, '/?a=b&u=1&c', {}, '1'],
  ['query parameter is not decoded', query, '/?u=%31+', {}, '%31+'],
  ['query parameter without = is empty', query, '/?u&a', {}, ''],
  ['query parameter that is missing is no key', query, '/?uu=1', {}, undefined],
  ['query parameter without a query is no key', query, '/u=1', {}, undefined]
]

for (const [name, key, url, headers, expected] of cases) {
  test(`hash key: ${name}`, () => {
    assert.equal(read(key, url, headers), expected)
  })
}

test('without a hash key there is no reader', () => {
  assert.equal(compileHashKey(undefined), undefined)
})
