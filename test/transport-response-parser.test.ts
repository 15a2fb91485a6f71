import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadResponseError } from '../plugins/errors.ts'
import { type Parsed, type ParseOptions, parse } from './transport-parser-helper.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const INFORMATION = 'HTTP/1.1 102 Processing\r\n\r\n'

const bytes = (text: string) => Buffer.from(text, 'latin1')

const malformed: Record<string, string> = {
  'a length that is no number': `${OK}Content-Length: foo\r\n\r\n`,
  'a negative length': `${OK}Content-Length: -1\r\n\r\n`,
  'a signed length': `${OK}Content-Length: +2\r\n\r\nok`,
  'an empty length': `${OK}Content-Length:\r\n\r\n`,
  'a list of lengths': `${OK}Content-Length: 2, 2\r\n\r\nok`,
  'a hexadecimal length': `${OK}Content-Length: 0x2\r\n\r\nok`,
  'a length with a space in it': `${OK}Content-Length: 1 2\r\n\r\nok`,
  'a length above 2^53': `${OK}Content-Length: 9007199254740993\r\n\r\n`,
  'a tab behind a length': `${OK}Content-Length: 2\t\r\n\r\nok`,
  'a tab behind a coding': `${OK}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n`,
  'an informational response in HTTP/1.0': `HTTP/1.0 100 Continue\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
  'an informational response with two lengths': `HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
  'a length of 20 digits': `${OK}Content-Length: 18446744073709551618\r\n\r\n`,
  'the same length twice': `${OK}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`,
  'two lengths': `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`,
  'a length in two cases': `${OK}Content-Length: 2\r\ncontent-length: 2\r\n\r\nok`,
  'a length beside chunked': `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'an unknown coding': `${OK}Transfer-Encoding: foo\r\n\r\n`,
  'a coding below chunked': `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'chunked twice in one line': `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
  'chunked twice in two lines': `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'an empty coding': `${OK}Transfer-Encoding:\r\n\r\n`,
  'chunked with a control byte before it': `${OK}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  'chunked in HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a chunk size that is no number': `${CHUNKED}z\r\ndef\r\n0\r\n\r\n`,
  'a chunk size that ends in a letter': `${CHUNKED}1z\r\ndef\r\n0\r\n\r\n`,
  'a chunk size above 2^53': `${CHUNKED}11111111111111113\r\ndef\r\n0\r\n\r\n`,
  'a chunk size with 0x': `${CHUNKED}0x3\r\ndef\r\n0\r\n\r\n`,
  'a signed chunk size': `${CHUNKED}+3\r\ndef\r\n0\r\n\r\n`,
  'a space before a chunk size': `${CHUNKED} 3\r\ndef\r\n0\r\n\r\n`,
  'a space behind a chunk size': `${CHUNKED}3 \r\ndef\r\n0\r\n\r\n`,
  'an empty chunk size': `${CHUNKED}\r\ndef\r\n0\r\n\r\n`,
  'a second CR behind a chunk size': `${CHUNKED}3\r\r\ndef\r\n0\r\n\r\n`,
  'a CR alone behind a chunk size': `${CHUNKED}3\rdef\r\n0\r\n\r\n`,
  'a LF alone behind a chunk size': `${CHUNKED}3\ndef\r\n0\r\n\r\n`,
  'a chunk longer than its size': `${CHUNKED}3\r\ndefg\r\n0\r\n\r\n`,
  'a LF alone behind a chunk': `${CHUNKED}3\r\ndef\n0\r\n\r\n`,
  'a CR alone behind a chunk': `${CHUNKED}3\r\ndef\rX0\r\n\r\n`,
  'a NUL in a chunk extension': `${CHUNKED}3;a=\0\r\ndef\r\n0\r\n\r\n`,
  'a CR in a chunk extension': `${CHUNKED}3;a=\rb\r\ndef\r\n0\r\n\r\n`,
  'a chunk extension without a name': `${CHUNKED}3;=a\r\ndef\r\n0\r\n\r\n`,
  'a chunk extension with an odd name': `${CHUNKED}3;x,=a\r\ndef\r\n0\r\n\r\n`,
  'a chunk extension with an open quote': `${CHUNKED}3;x="a\r\ndef\r\n0\r\n\r\n`,
  'a chunk size line of 5 KiB': `${CHUNKED}3;${'a'.repeat(5 * 1024)}\r\ndef\r\n0\r\n\r\n`,
  'a chunk size line of 5 KiB that does not end': `${CHUNKED}3;${'a'.repeat(5 * 1024)}`,
  'a length among trailers': `${CHUNKED}0\r\nContent-Length: 0\r\n\r\n`,
  'a coding among trailers': `${CHUNKED}0\r\nTransfer-Encoding: chunked\r\n\r\n`,
  'a trailer without a colon': `${CHUNKED}0\r\nbadtrailer\r\n\r\n`,
  'a LF alone behind a trailer': `${CHUNKED}0\r\nX-A: b\n\r\n\r\n`,
  'a trailer that is folded': `${CHUNKED}0\r\nX-A: b\r\n c\r\n\r\n`,
  'trailers of 65 KiB': `${CHUNKED}0\r\nX-A: ${'b'.repeat(65 * 1024)}\r\n\r\n`,
  'something that is not HTTP': 'this is not http at all\r\n\r\n',
  'an HTTP/0.9 answer': '<html>hello</html>\n',
  'HTTP/2': 'HTTP/2.0 200 OK\r\n\r\n',
  'HTTP/1.2': 'HTTP/1.2 200 OK\r\n\r\n',
  'a version in lower case': 'http/1.1 200 OK\r\n\r\n',
  'two spaces before the status': 'HTTP/1.1  200 OK\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
  'a status that overflows': `HTTP/1.1 ${'1'.repeat(65)} OK\r\n\r\n`,
  'a status below 100': 'HTTP/1.1 099 Odd\r\n\r\n',
  'no status': 'HTTP/1.1\r\n\r\n',
  'a NUL in the reason': 'HTTP/1.1 200 O\0K\r\n\r\n',
  'a CR in the reason': 'HTTP/1.1 200 O\rK\r\n\r\n',
  'an empty line before the status line': `\r\n${OK}\r\n`,
  'a NUL in a value': `${OK}X-A: b\0c\r\n\r\n`,
  'a CR in a value': `${OK}X-A: b\rSet-Cookie: evil=1\r\n\r\n`,
  'a LF alone behind a value': `${OK}X-A: b\nX-C: d\r\n\r\n`,
  'a LF alone behind the status line': 'HTTP/1.1 200 OK\nX-A: b\r\n\r\n',
  'a head that ends in LF LF': 'HTTP/1.1 200 OK\nX-A: b\n\n',
  'a head that ends in LF CR LF': `${OK}X-A: b\n\r\n`,
  'a DEL in a value': `${OK}X-A: b\x7fc\r\n\r\n`,
  'an empty name': `${OK}: x\r\n\r\n`,
  'a space behind a name': `${OK}X-A : b\r\n\r\n`,
  'a space before the first name': `${OK} X-A: b\r\n\r\n`,
  'a line without a colon': `${OK}X-A\r\n\r\n`,
  'a byte above 127 in a name': `${OK}X-\xe4: b\r\n\r\n`,
  'a folded value': `${OK}X-A: b\r\n c\r\n\r\n`,
  'a value folded with a tab': `${OK}X-A: b\r\n\tc\r\n\r\n`,
  'a head of 65 KiB': `${OK}X-A: ${'b'.repeat(65 * 1024)}\r\n\r\n`,
  'a head of 65 KiB that does not end': `${OK}X-A: ${'b'.repeat(65 * 1024)}`,
  'a 101 nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n',
  'an informational response that closes': `HTTP/1.1 102 Processing\r\nConnection: close\r\n\r\n${OK}\r\n`,
  '33 informational responses': INFORMATION.repeat(33),
  'a bad header in an informational response': 'HTTP/1.1 103 Early Hints\r\nLink : a\r\n\r\n'
}

for (const [name, text] of Object.entries(malformed)) {
  test(`a response with ${name} is refused, in one piece and byte by byte`, () => {
    const input = bytes(text)
    const everywhere = Array.from(input.keys())

    assert.throws(() => parse(input), BadResponseError)
    assert.throws(() => parse(input, { splits: everywhere }), BadResponseError)
  })
}

interface GoodCase extends ParseOptions {
  text: string
  expected: Partial<Parsed>
}

const wellFormed: Record<string, GoodCase> = {
  'a counted body': {
    text: `${OK}Content-Length: 5\r\nX-A:  b\tc \r\n\r\nhello`,
    expected: { headers: ['Content-Length', '5', 'X-A', 'b\tc'], body: 'hello', ended: true, reusable: true }
  },
  'an empty body': { text: `${OK}Content-Length: 0\r\n\r\n`, expected: { body: '', ended: true, reusable: true } },
  'a chunked body': {
    text: `${CHUNKED}5\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n`,
    expected: { body: 'hello 0123456789', ended: true, reusable: true }
  },
  'chunk extensions': {
    text: `${CHUNKED}5;a=b;c="d e"\r\nhello\r\n000;z\r\n\r\n`,
    expected: { body: 'hello', ended: true }
  },
  'line ends in chunks': { text: `${CHUNKED}4\r\n\r\n\r\n\r\n0\r\n\r\n`, expected: { body: '\r\n\r\n', ended: true } },
  trailers: {
    text: `${OK}transfer-encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n`,
    expected: { body: 'ok', trailers: ['X-Sum', '1', 'X-Sum', '2'], ended: true, reusable: true }
  },
  'informational responses before the final one': {
    text: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
    expected: {
      informations: [
        [100, []],
        [103, ['Link', '</a>']]
      ],
      status: 200,
      body: 'ok',
      ended: true
    }
  },
  '32 informational responses': {
    text: `${INFORMATION.repeat(32)}${OK}Content-Length: 2\r\n\r\nok`,
    expected: { status: 200, body: 'ok', ended: true }
  },
  'a body up to the end of the connection': {
    text: `${OK}\r\nall of it`,
    close: true,
    expected: { body: 'all of it', ended: true, reusable: false }
  },
  'HTTP/1.0 with a length': {
    text: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
    expected: { body: 'ok', ended: true, reusable: false }
  },
  'Proxy-Connection: close': {
    text: `${OK}Proxy-Connection: close\r\nContent-Length: 2\r\n\r\nok`,
    expected: { body: 'ok', ended: true, reusable: false }
  },
  'HTTP/1.0 that keeps the connection': {
    text: 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok',
    expected: { body: 'ok', ended: true, reusable: true }
  },
  'the end of the connection announced': {
    text: `${OK}Connection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok`,
    expected: { body: 'ok', ended: true, reusable: false }
  },
  'HEAD with a length': {
    text: `${OK}Content-Length: 8\r\n\r\n`,
    method: 'HEAD',
    expected: { headers: ['Content-Length', '8'], body: '', ended: true, reusable: true }
  },
  'HEAD with chunked': { text: CHUNKED, method: 'HEAD', expected: { body: '', ended: true, reusable: true } },
  '204 with a length': {
    text: 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
    expected: { status: 204, body: '', ended: true }
  },
  '304 with a length': {
    text: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    expected: { status: 304, body: '', ended: true, reusable: true }
  },
  'no reason': {
    text: 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
    expected: { status: 200, reason: '', ended: true }
  },
  'an empty reason': { text: 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', expected: { reason: '', ended: true } },
  'a reason in Latin-1': {
    text: 'HTTP/1.1 404 Ni\xf1o\r\nContent-Length: 0\r\n\r\n',
    expected: { status: 404, reason: 'Ni\xf1o', ended: true }
  },
  'an odd status': { text: 'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n', expected: { status: 999, ended: true } },
  'a value with bytes above 127': { text: `${OK}X-A: \xff\r\nContent-Length: 0\r\n\r\n`, expected: { ended: true } },
  'bytes behind the end': {
    text: `${OK}Content-Length: 8\r\n\r\nSEE-THIS-BUT-NOT-THIS`,
    expected: { body: 'SEE-THIS', ended: true, excess: true }
  },
  'a second response behind the first': {
    text: `${CHUNKED}0\r\n\r\n${OK}\r\n`,
    expected: { status: 200, ended: true, excess: true }
  },
  'a body that is cut': {
    text: `${OK}Content-Length: 10\r\n\r\nhalf`,
    close: true,
    expected: { body: 'half', ended: false }
  },
  'chunks that are cut': { text: `${CHUNKED}4\r\nhalf\r\n`, close: true, expected: { body: 'half', ended: false } }
}

for (const [name, { text, expected, ...options }] of Object.entries(wellFormed)) {
  test(`a response with ${name} is read the same wherever it is split`, () => {
    const input = bytes(text)
    const whole = parse(input, options)

    assert.deepEqual({ ...whole, ...expected }, whole)
    for (let at = 1; at < input.length; at++) assert.deepEqual(parse(input, { ...options, splits: [at] }), whole)
    assert.deepEqual(parse(input, { ...options, splits: Array.from(input.keys()) }), whole)
  })
}

test('garbage is refused at its first byte, not when a line is complete', () => {
  assert.throws(() => parse(bytes('X')), BadResponseError)
  assert.throws(() => parse(bytes('HTTP/2')), BadResponseError)
})

test('a 101 that was asked for ends what is parsed, wherever its head is split', () => {
  const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n'
  const text = `${INFORMATION}${head}\x88\x02HTTP/1.1 200 OK\r\n\r\n`
  const expected = {
    status: 101,
    reason: 'Switching Protocols',
    headers: ['Upgrade', 'foo', 'Connection', 'Upgrade'],
    early: '\x88\x02HTTP/1.1 200 OK\r\n\r\n',
    ended: false,
    excess: false
  }

  for (let at = 1; at < INFORMATION.length + head.length; at++) {
    const parsed = parse(bytes(text), { upgradable: true, splits: [at] })
    assert.deepEqual({ ...parsed, ...expected }, parsed)
  }
})

test('HTTP/1.0 switches to nothing', () => {
  const text = 'HTTP/1.0 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n'

  assert.throws(() => parse(bytes(text), { upgradable: true }), BadResponseError)
})
