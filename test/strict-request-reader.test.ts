import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StrictRequestReader } from './strict-request-reader.ts'

const HOST = 'host: a\r\n'
const POST = `POST / HTTP/1.1\r\n${HOST}`
const CHUNKED = `${POST}transfer-encoding: chunked\r\n\r\n`

const sound = [
  `GET / HTTP/1.1\r\n${HOST}\r\n`,
  `${POST}content-length: 3\r\n\r\nabc`,
  `${POST}content-length: 0\r\n\r\n`,
  `${CHUNKED}3\r\nabc\r\n0\r\n\r\n`,
  `${CHUNKED}2\r\na\r\r\n1\r\nc\r\n0\r\nx-sum: 1\r\n\r\n`,
  `${CHUNKED}0\r\n\r\n`
]

const unsound: [what: string, bytes: string][] = [
  ['request line', `GET  / HTTP/1.1\r\n${HOST}\r\n`],
  ['request line', `GET /a b HTTP/1.1\r\n${HOST}\r\n`],
  ['request line', `\r\nGET / HTTP/1.1\r\n${HOST}\r\n`],
  ['request line', `GET /\0 HTTP/1.1\r\n${HOST}\r\n`],
  ['version', `GET / HTTP/1.0\r\n${HOST}\r\n`],
  ['header line', `GET / HTTP/1.1\r\n${HOST}a : b\r\n\r\n`],
  ['header line', `GET / HTTP/1.1\r\n${HOST} b\r\n\r\n`],
  ['header line', `GET / HTTP/1.1\r\n${HOST}a: b\0c\r\n\r\n`],
  ['header line', `GET / HTTP/1.1\r\n${HOST}a: b\rc\r\n\r\n`],
  ['line end', `GET / HTTP/1.1\r\n${HOST}a: b\nc: d`],
  ['hosts', 'GET / HTTP/1.1\r\n\r\n'],
  ['hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ['lengths', `${POST}content-length: 1\r\ncontent-length: 1\r\n\r\na`],
  ['length', `${POST}content-length: +1\r\n\r\na`],
  ['codings', `${POST}transfer-encoding: gzip, chunked\r\n\r\n`],
  ['codings', `${POST}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`],
  ['length and coding', `${POST}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`],
  ['chunk size', `${CHUNKED}0x3\r\nabc\r\n`],
  ['chunk size', `${CHUNKED}\r\nabc\r\n`],
  ['chunk extension', `${CHUNKED}3;a\r\nabc\r\n`],
  ['line end', `${CHUNKED}3\nabc`],
  ['end of a chunk', `${CHUNKED}3\r\nabcd`],
  ['end of a chunk', `${CHUNKED}3\r\nabc\n\r`],
  ['trailer line', `${CHUNKED}0\r\nno colon\r\n\r\n`],
  ['trailer', `${CHUNKED}0\r\nContent-Length: 1\r\n\r\n`]
]

for (const bytes of sound) {
  test(`the strict reader takes ${JSON.stringify(bytes)} in one piece, byte by byte, and twice`, () => {
    const pieces = [[bytes], [...bytes], [bytes, bytes], [...bytes, ...bytes]].map((parts) => {
      const reader = new StrictRequestReader()
      for (const part of parts) reader.push(part)
      return reader
    })

    assert.deepEqual(
      pieces.map(({ faults }) => faults),
      [[], [], [], []]
    )
    assert.ok(pieces.every(({ atRest }) => atRest))
    assert.deepEqual(
      pieces.map(({ requests }) => requests.length),
      [1, 1, 2, 2]
    )
    assert.deepEqual(pieces[1]?.requests, pieces[0]?.requests)
  })
}

for (const [what, bytes] of unsound) {
  test(`the strict reader finds the ${what} in ${JSON.stringify(bytes)}, byte by byte, too`, () => {
    const [whole, slow] = [new StrictRequestReader(), new StrictRequestReader()]

    whole.push(bytes)
    for (const byte of bytes) slow.push(byte)

    assert.ok(whole.faults[0]?.startsWith(`${what}: `), whole.faults[0])
    assert.equal(slow.faults.length, 1)
  })
}

test('the strict reader lets a client send what a gateway has no reason to', () => {
  const reader = new StrictRequestReader({ client: true })

  reader.push(`\r\nPOST / HTTP/1.0\r\n\r\n${CHUNKED}3 ;a="b"\r\nabc\r\n0\r\nhost: b\r\n\r\n`)

  assert.deepEqual(reader.faults, [])
  assert.deepEqual(
    reader.requests.map(({ version, body, complete }) => [version, body, complete]),
    [
      ['HTTP/1.0', '', true],
      ['HTTP/1.1', 'abc', true]
    ]
  )
})
