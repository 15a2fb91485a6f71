import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filterResponseHeaders, groupHeaders, mergeReplyHeaders } from '../plugins/proxy/forwarding/response-headers.ts'

const FRAMING = { chunked: true, length: true }

const cases: { name: string; raw: string[]; framing?: typeof FRAMING; expected: string[] }[] = [
  {
    name: 'names keep their case, their order and their repeats',
    raw: ['B', '1', 'a', '2', 'B', '3'],
    expected: ['B', '1', 'a', '2', 'B', '3']
  },
  {
    name: 'hop-by-hop headers are removed in any case',
    raw: [
      'KEEP-ALIVE',
      'x',
      'Upgrade',
      'h2',
      'Transfer-Encoding',
      'chunked',
      'Proxy-Connection',
      'x',
      'TE',
      'x',
      'X-End',
      '1'
    ],
    expected: ['X-End', '1']
  },
  {
    name: 'what any Connection header names is removed',
    raw: ['X-One', '1', 'Connection', 'Upgrade, X-One', 'connection', 'x-two', 'X-Two', '2', 'X-End', '1'],
    expected: ['X-End', '1']
  },
  {
    name: 'Connection cannot strip the length',
    raw: ['Connection', 'content-length', 'Content-Length', '5'],
    expected: ['Content-Length', '5']
  },
  {
    name: 'a length is dropped where none may be',
    raw: ['Content-Length', '5'],
    framing: { chunked: false, length: false },
    expected: []
  },
  {
    name: 'Trailer is dropped where none can follow',
    raw: ['Trailer', 'X'],
    framing: { chunked: false, length: true },
    expected: []
  },
  { name: 'Trailer stays where they can', raw: ['Trailer', 'X'], expected: ['Trailer', 'X'] }
]

for (const { name, raw, framing = FRAMING, expected } of cases) {
  test(`response headers: ${name}`, () => {
    assert.deepEqual(filterResponseHeaders(raw, framing), expected)
  })
}

test('headers of hooks are added, but the value of the target wins', () => {
  const own = { 'x-own': '1', server: 'mine', 'x-number': 7, 'x-none': undefined }

  assert.deepEqual(mergeReplyHeaders(['Server', 'theirs'], own), ['Server', 'theirs', 'x-own', '1', 'x-number', '7'])
})

test('hooks and target both contribute to Set-Cookie and Vary', () => {
  const merged = mergeReplyHeaders(['Set-Cookie', 'a', 'Vary', 'x'], { 'set-cookie': ['b', 'c'], vary: 'Origin' })

  assert.deepEqual(merged, ['Set-Cookie', 'a', 'Vary', 'x', 'set-cookie', 'b', 'set-cookie', 'c', 'vary', 'Origin'])
})

test('names that occur again are grouped as lists', () => {
  const groups = groupHeaders(['A', '1', 'b', '2', 'a', '3', 'A', '4'])

  assert.deepEqual(
    [...groups],
    [
      ['a', ['1', '3', '4']],
      ['b', '2']
    ]
  )
})
