import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { switchedTo } from '../plugins/proxy/transport/switching.ts'
import { requestedProtocols } from '../plugins/proxy/upgrade/requested-protocols.ts'

function message(headers: IncomingMessage['headers'], httpVersion = '1.1'): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { headers, httpVersion })
}

for (const { what, upgrade, connection = 'Upgrade', more = {}, version = '1.1', asked } of [
  { what: 'one protocol is asked for as it was written', upgrade: 'WebSocket', asked: 'WebSocket' },
  { what: 'a version belongs to it', upgrade: 'foo/1.2', asked: 'foo/1.2' },
  { what: 'several are asked for in their order', upgrade: 'foo/2,bar ,, baz', asked: 'foo/2, bar, baz' },
  { what: 'Connection is a list', upgrade: 'foo', connection: 'keep-alive, UPGRADE', asked: 'foo' },
  { what: 'an announced body of no bytes is none', upgrade: 'foo', more: { 'content-length': '0' }, asked: 'foo' },
  { what: 'h2c is dropped from a list', upgrade: 'H2C, foo', asked: 'foo' },
  { what: 'h2c is never asked for (RFC 9113, 3.1)', upgrade: 'h2c', asked: undefined },
  { what: 'HTTP in TLS is never asked for (RFC 2817)', upgrade: 'TLS/1.0, HTTP/1.1', asked: undefined },
  { what: 'HTTP/2 under other names is never asked for', upgrade: 'HTTP/2.0, h2, h3', asked: undefined },
  { what: 'without the option of Connection it is ignored', upgrade: 'foo', connection: 'close', asked: undefined },
  { what: 'a part of an option is not the option', upgrade: 'foo', connection: 'upgrades', asked: undefined },
  { what: 'HTTP/1.0 has no upgrades (RFC 9110, 7.8)', upgrade: 'foo', version: '1.0', asked: undefined },
  { what: 'with a body it is ignored', upgrade: 'foo', more: { 'content-length': '1' }, asked: undefined },
  {
    what: 'with a body of unknown length it is ignored',
    upgrade: 'foo',
    more: { 'transfer-encoding': 'chunked' },
    asked: undefined
  },
  { what: 'nothing is asked for by an empty list', upgrade: ' ,', asked: undefined },
  { what: 'a space in a protocol is no protocol', upgrade: 'foo bar', asked: undefined },
  { what: 'a protocol has one version', upgrade: 'foo/1/2', asked: undefined },
  { what: 'a quoted protocol is no protocol', upgrade: '"foo"', asked: undefined }
]) {
  test(`Upgrade: ${what}`, () => {
    assert.equal(requestedProtocols(message({ upgrade, connection, ...more }, version)), asked)
  })
}

test('without an Upgrade, nothing is asked for', () => {
  assert.equal(requestedProtocols(message({ connection: 'upgrade' })), undefined)
})

for (const { what, asked = 'foo/1, bar', headers, protocol } of [
  { what: 'the protocol that was asked for', asked: 'foo', headers: { Upgrade: 'foo' }, protocol: 'foo' },
  { what: 'it in another case', asked: 'WebSocket', headers: { Upgrade: 'websocket' }, protocol: 'websocket' },
  { what: 'one of several', headers: { Upgrade: 'bar' }, protocol: 'bar' },
  { what: 'several that were asked for', headers: { Upgrade: 'bar, foo/1' }, protocol: 'bar, foo/1' },
  { what: 'another one', headers: { Upgrade: 'baz' }, protocol: undefined },
  { what: 'another one beside', headers: { Upgrade: 'bar, baz' }, protocol: undefined },
  { what: 'another version', headers: { Upgrade: 'foo/2' }, protocol: undefined },
  { what: 'none', headers: {}, protocol: undefined },
  { what: 'an empty list', headers: { Upgrade: '' }, protocol: undefined },
  {
    what: 'one without the option of Connection',
    headers: { Upgrade: 'bar', Connection: 'close' },
    protocol: undefined
  }
]) {
  test(`a 101 that names ${what} is ${protocol === undefined ? 'refused' : 'taken'}`, () => {
    const pairs = Object.entries({ Connection: 'keep-alive, Upgrade', ...headers }).flat()

    assert.equal(switchedTo(asked, pairs), protocol)
  })
}
