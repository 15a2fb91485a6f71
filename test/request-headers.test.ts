import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { BadHostError } from '../plugins/errors.ts'
import {
  buildRequestHeaders,
  nominatedBy,
  type RequestHeaderInput
} from '../plugins/proxy/forwarding/request-headers.ts'

const ADDED = {
  'x-forwarded-for': '10.0.0.1',
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'gw.test',
  via: '1.1 fastify-gateway'
}

/** The headers for the target as flat pairs, without the placeholder for its Host. */
function build(raw: string[], input: Partial<RequestHeaderInput> = {}): string[] {
  const message = new IncomingMessage(new Socket())
  message.rawHeaders = raw
  const connections = raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === 'connection')
  if (connections.length > 0) message.headers.connection = connections.join(', ')
  const defaults = { peer: '10.0.0.1', trusted: false, protocol: 'http', host: 'gw.test', chunked: false }
  const pairs = buildRequestHeaders({ message, extra: undefined, ...defaults, ...input })
  assert.deepEqual(pairs.slice(0, 2), ['host', ''])
  return pairs.slice(2)
}

const withAdded = (pairs: string[], changes: object = {}) => [
  ...pairs,
  ...Object.entries({ ...ADDED, ...changes }).flat()
]

const cases: { name: string; raw: string[]; input?: Partial<RequestHeaderInput>; expected: string[] }[] = [
  {
    name: 'names keep their case, their order and their repeats',
    raw: ['B', '1', 'a', '2', 'B', '3'],
    expected: withAdded(['B', '1', 'a', '2', 'B', '3'])
  },
  {
    name: 'what Function Compute tells its functions stays here',
    raw: ['X-Fc-Access-Key-Secret', 's', 'x-fc-security-token', 't', 'x-fcx', '1'],
    expected: withAdded(['x-fcx', '1'])
  },
  {
    name: 'values pass byte for byte',
    raw: ['X-A', 'Mixed, "Case\\"; q=1', 'X-B', '\xff\t\x80', 'X-C', '%41+%0D'],
    expected: withAdded(['X-A', 'Mixed, "Case\\"; q=1', 'X-B', '\xff\t\x80', 'X-C', '%41+%0D'])
  },
  { name: 'an empty value stays', raw: ['X-Empty', ''], expected: withAdded(['X-Empty', '']) },
  {
    name: 'framing is left to the connection',
    raw: ['Content-Length', '5', 'Transfer-Encoding', 'chunked', 'Expect', '100-continue'],
    expected: withAdded([])
  },
  {
    name: 'what Connection names is for this connection only',
    raw: ['Connection', 'X-Hop, close', 'x-hop', '1', 'X-End', '1'],
    expected: withAdded(['X-End', '1'])
  },
  {
    name: 'an empty Connection header hides no second one',
    raw: ['Connection', '', 'Connection', 'X-Hop', 'X-Hop', '1'],
    expected: withAdded([])
  },
  {
    name: 'Connection cannot strip what the gateway adds',
    raw: [
      'Connection',
      'X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Via, Host',
      'X-Forwarded-For',
      '6.6.6.6'
    ],
    expected: withAdded([])
  },
  {
    name: 'te: trailers is kept',
    raw: ['Connection', 'TE', 'TE', 'gzip, trailers'],
    expected: withAdded(['te', 'trailers'])
  },
  { name: 'te without trailers is dropped', raw: ['TE', 'gzip'], expected: withAdded([]) },
  {
    name: 'Trailer goes with a chunked body',
    raw: ['Trailer', 'X-Sum'],
    input: { chunked: true },
    expected: withAdded(['Trailer', 'X-Sum'])
  },
  { name: 'Trailer is dropped without a chunked body', raw: ['Trailer', 'X-Sum'], expected: withAdded([]) },
  {
    name: 'several Cookie headers become one',
    raw: ['Cookie', 'a=1', 'X', 'y', 'cookie', 'b=2'],
    expected: withAdded(['Cookie', 'a=1; b=2', 'X', 'y'])
  },
  {
    name: 'forwarding headers of a stranger are replaced',
    raw: [
      'X-Forwarded-For',
      '6.6.6.6',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'a',
      'X-Forwarded-Port',
      '1',
      'Forwarded',
      'for=x'
    ],
    expected: withAdded([])
  },
  {
    name: 'underscore spellings of forwarding headers never pass',
    raw: ['X_Forwarded_For', '6.6.6.6', 'x_forwarded-proto', 'https'],
    input: { trusted: true },
    expected: withAdded([])
  },
  {
    name: 'forwarding headers of a trusted proxy are kept, and its address appended',
    raw: [
      'X-Forwarded-For',
      '1.1.1.1',
      'x-forwarded-for',
      '2.2.2.2',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'a',
      'X-Forwarded-Port',
      '1'
    ],
    input: { trusted: true },
    expected: withAdded(['X-Forwarded-Port', '1'], {
      'x-forwarded-for': '1.1.1.1, 2.2.2.2, 10.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'a'
    })
  },
  {
    name: 'via is extended',
    raw: ['Via', '1.0 a', 'via', '1.1 b'],
    expected: withAdded([], { via: '1.0 a, 1.1 b, 1.1 fastify-gateway' })
  },
  {
    name: 'headers of layers replace those of the client',
    raw: ['X-User', 'spoofed', 'X-A', '1'],
    input: { extra: [['x-user', 'anna']] },
    expected: [...withAdded(['X-A', '1']), 'x-user', 'anna']
  }
]

for (const { name, raw, input, expected } of cases) {
  test(name, () => {
    assert.deepEqual(build(raw, input), expected)
  })
}

for (const name of [
  'Keep-Alive',
  'PROXY-CONNECTION',
  'Upgrade',
  'Proxy-Authorization',
  'HTTP2-Settings',
  'Proxy-Instruction',
  'Security-Scheme'
]) {
  test(`${name} is not forwarded`, () => {
    assert.deepEqual(build([name, 'x', 'X-End', '1']), withAdded(['X-End', '1']))
  })
}

test('a request without a host has no x-forwarded-host', () => {
  assert.ok(!build([], { host: '' }).includes('x-forwarded-host'))
})

test('a second Host header is refused', () => {
  assert.throws(() => build(['Host', 'a', 'host', 'a']), BadHostError)
})

test('the usual values of Connection name nothing', () => {
  assert.deepEqual([undefined, 'keep-alive', 'close'].map(nominatedBy), [undefined, undefined, undefined])
})
