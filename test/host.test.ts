import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHost } from '../plugins/proxy/routing/host.ts'

// The first rows are those of nginx-tests http_host.t (BSD-2-Clause).
const valid = [
  ['l', 'l'],
  ['abcd-ef.g02.xyz:8080', 'abcd-ef.g02.xyz'],
  ['[abcd::ef98:0:7654:321]:80', '[abcd::ef98:0:7654:321]'],
  ['[::ffff:12.30.67.89]', '[::ffff:c1e:4359]'],
  ['12.30.67.89:0', '12.30.67.89'],
  ['GW.Test', 'gw.test'],
  ['GW.test.:80', 'gw.test'],
  ['gw.test:', 'gw.test'],
  ['gw.test:65535', 'gw.test'],
  ['gw.test:000080', 'gw.test'],
  ['my_service', 'my_service'],
  ['a~b', 'a~b'],
  ['[0:0:0:0:0:0:0:1]', '[::1]'],
  ['[2001:DB8::1]:', '[2001:db8::1]'],
  ['x'.repeat(255), 'x'.repeat(255)]
] as const

for (const [value, host] of valid) {
  test(`'${value.slice(0, 40)}' is the host '${host.slice(0, 40)}'`, () => {
    assert.equal(parseHost(value), host)
  })
}

// nginx-tests http_host.t, Apache Traffic Server malformed_host_port, Http11Probe COMP-HOST-*.
const malformed = [
  '',
  ':80',
  '.',
  '..',
  '.gw.test',
  'gw..test',
  'gw.test..',
  'gw.test, other',
  'gw.test,other',
  'example.com/\\:552',
  'gw.test/path',
  'gw.test#x',
  'gw.test?x',
  'user@gw.test',
  'g w.test',
  'gw.test ',
  'gw.test:99999',
  'gw.test:65536',
  'gw.test:80a',
  'gw.test:-1',
  'gw.test:80:80',
  'gw%2Etest',
  'caf\xe9.test',
  'caf\u0117.test',
  '::1',
  '[::1',
  '[]',
  '[::1]x',
  '[::1]80',
  '[::1]:80a',
  '[gw.test]',
  '[1.2.3.4]',
  '[v1.fe]',
  '[fe80::1%25eth0]',
  '[fe80::1%eth0]',
  'x'.repeat(256)
]

for (const value of malformed) {
  test(`${JSON.stringify(value.slice(0, 40))} is not a host`, () => {
    assert.equal(parseHost(value), undefined)
  })
}

test('a missing header is not a host', () => {
  assert.equal(parseHost(undefined), undefined)
})
