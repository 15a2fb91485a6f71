import { type Draw, pick, rarely } from './draw.ts'
import { mutate } from './mutations.ts'

/** What a target sends on a connection in answer to one request. */
export interface FuzzCase {
  readonly method: string
  readonly bytes: Buffer
  /** Positions, in order, at which the bytes are split on arrival. */
  readonly splits: readonly number[]
}

const VERSIONS = [
  'HTTP/2.0',
  'HTTP/1.2',
  'HTTP/0.9',
  'HTTP/1.10',
  'http/1.1',
  'HTTP/11',
  'HTTP/1.1 ',
  ' HTTP/1.1',
  'ICY'
]
const STATUSES = ['200', '200', '200', '200', '404', '500', '204', '304', '205', '206', '302', '600', '999']
const ODD_STATUSES = ['099', '000', '20', '2000', '2 0', '+20', '20x', '', '101', '100', '1e2', '-20']
const REASONS = [' OK', ' OK', ' OK', ' ', '', ' Not Found', ' a\tb', ' \xe4\xf6', ' OK ', '  OK']
const ODD_REASONS = [' a\0b', ' \x7f', ' a\rb', ' a\nb', '\tOK', 'OK', ' \x1b[0m']
const FIELDS = [
  ...[
    'Date: Tue, 24 Nov 2026 10:00:00 GMT',
    'ETag: "a:b"',
    'Set-Cookie: a=b; Path=/',
    'X-Empty:',
    'X-Blank: \t ',
    'x:y'
  ],
  ...['X-High: \xe4\xff', 'X-Tab: a\tb', 'X-Trim: \t a b \t', "!#$%&'*+-.^_`|~09: t", 'Server: a', 'set-cookie: c=d'],
  ...[
    'Upgrade: websocket',
    'Keep-Alive: timeout=5',
    'Keep-Alive: timeout=x, max=1',
    'Trailer: X-T',
    'Proxy-Connection: close'
  ]
]
const ODD_FIELDS = [
  ...[
    'X A: b',
    'X-A : b',
    ': b',
    'X-A',
    'X-A\t: b',
    ' X-A: b',
    'X-A: b\r\n folded',
    'X-A: b\r\n\tfolded',
    'X-A: b\r\n '
  ],
  ...[
    'X-A: a\0b',
    'X-A: \x7f',
    'X-A: a\rb',
    'X-A: a\nb',
    'X-A: b\r',
    'X\xe4: b',
    'X(: b',
    'X-A: \x01',
    '\0: a',
    '"X": a'
  ]
]
const CONNECTIONS = [
  ...['Connection: keep-alive', 'Connection: close', 'connection: Close', 'Connection: keep-alive, close'],
  ...['Connection: X-A', 'Connection: upgrade', 'Connection: Keep-Alive', 'Connection: close, X-A', 'Connection:'],
  ...[
    'Connection: closed',
    'Connection: "close"',
    'Connection: close;',
    'Connection: ,close',
    'Connection: keep-alive\t'
  ]
]
const ODD_LENGTHS = [
  ...[
    '+5',
    '-5',
    '0x5',
    '5 5',
    '5,5',
    '5, 5',
    '05',
    '5.0',
    '5e0',
    '',
    ' ',
    '5;',
    '\xb2',
    '5\t',
    '000000000000000000005'
  ],
  ...['9007199254740991', '9007199254740992', '18446744073709551615', '18446744073709551616', '99999999999999999999']
]
const CODINGS = [
  ...['Chunked', 'CHUNKED', 'chunked ', '\tchunked', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'identity'],
  ...['gzip', 'xchunked', 'chunkedx', 'chunked;q=1', '"chunked"', 'chunked,', ',chunked', '', 'chun ked', 'chunked\v']
]
const CODING_NAMES = [
  'transfer-encoding',
  'TRANSFER-ENCODING',
  'Transfer_Encoding',
  'Transfer-Encoding ',
  'Transfer-Encodin'
]
const EXTENSIONS = [';a', ';a=b', ';a="b c"', ';a="\\""', ';a=b;c=d', ';a="\xe4"']
const ODD_EXTENSIONS = [
  ...[
    ';',
    ';;',
    '; a',
    ' ;a',
    ';a= b',
    ';a=',
    ';a="b',
    ';a="b"c',
    ' ',
    '\t',
    ';\0',
    ';a\n',
    ';a\r',
    ';a="\r"',
    ';=b',
    ',a'
  ]
]
const ODD_SIZES = ['', '0x5', '+5', '-5', ' 5', '5 ', 'g', '5g', '1fffffffffffff', '20000000000000', 'ffffffffffffffff']
const HUGE_SIZES = ['10000000000000000', '10000000000000005', '000000000000000000000005', '5'.repeat(40)]
const ODD_CHUNK_ENDS = ['', '\n', '\r', '\n\r', '\r\r\n', ' \r\n', '\r\n\r\n', 'x\r\n', '0']
const TRAILERS = ['X-T: 1', 'X-T: 1\r\nX-U: 2', 'Content-Length: 5', 'Transfer-Encoding: chunked', 'Connection: close']
const LEFTOVERS = ['\r\n', '\n', 'x', '\0', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'HTTP/1.1 ', '0\r\n\r\n']

/** A response, whole and well-formed, or odd here and there, or damaged. */
export function drawCase(draw: Draw): FuzzCase {
  const method = rarely(draw, 8) ? 'HEAD' : 'GET'
  // Odd ones among many good ones: two oddities in one message hide each other.
  const odds = rarely(draw, 3) ? 6 : 200
  let text = ''
  while (rarely(draw, 10)) text += information(draw, odds)
  text += message(draw, odds, method)
  if (rarely(draw, 12)) text += pick(draw, LEFTOVERS)
  if (odds === 200 && rarely(draw, 2)) text = mutate(text, draw)
  const bytes = Buffer.from(text, 'latin1')
  return { method, bytes, splits: drawSplits(draw, bytes.length) }
}

function drawSplits(draw: Draw, length: number): number[] {
  if (rarely(draw, 2)) return []
  if (rarely(draw, 16)) return Array.from({ length }, (_, at) => at)
  return Array.from({ length: 1 + draw(4) }, () => draw(length)).sort((a, b) => a - b)
}

function information(draw: Draw, odds: number): string {
  const line = pick(draw, ['100 Continue', '103 Early Hints', '102 Processing', '199 ', '110'])
  const connection = rarely(draw, 40) ? `${pick(draw, CONNECTIONS)}\r\n` : ''
  return `HTTP/1.1 ${line}\r\n${rarely(draw, 2) ? field(draw, odds) : ''}${connection}\r\n`
}

function message(draw: Draw, odds: number, method: string): string {
  const body = drawBody(draw)
  const fields = Array.from({ length: draw(4) }, () => field(draw, odds))
  if (rarely(draw, 3)) fields.push(`${pick(draw, CONNECTIONS)}\r\n`)
  const framing = draw(10)
  const chunked = framing < 4
  if (chunked) fields.push(coding(draw, odds))
  else if (framing < 8) fields.push(length(draw, odds, body.length))
  if (rarely(draw, odds)) fields.push(length(draw, odds, body.length))
  if (rarely(draw, odds * 2)) fields.push(coding(draw, odds))
  const at = draw(fields.length)
  const head = statusLine(draw, odds) + [...fields.slice(at), ...fields.slice(0, at)].join('')
  const status = head.slice(9, 12)
  const bodyless = method === 'HEAD' || status === '204' || status === '304'
  if (bodyless && !rarely(draw, 6)) return `${head}\r\n`
  return `${head}\r\n${chunked ? chunks(draw, odds, body) : body}`
}

function statusLine(draw: Draw, odds: number): string {
  const version = rarely(draw, odds) ? pick(draw, VERSIONS) : rarely(draw, 8) ? 'HTTP/1.0' : 'HTTP/1.1'
  const status = pick(draw, rarely(draw, odds) ? ODD_STATUSES : STATUSES)
  return `${version} ${status}${pick(draw, rarely(draw, odds) ? ODD_REASONS : REASONS)}\r\n`
}

function field(draw: Draw, odds: number): string {
  if (rarely(draw, odds)) return `${pick(draw, ODD_FIELDS)}\r\n`
  if (rarely(draw, 400)) return `X-Long: ${'v'.repeat(draw(20_000))}\r\n`
  return `${pick(draw, FIELDS)}\r\n`
}

function length(draw: Draw, odds: number, bodyLength: number): string {
  const value = rarely(draw, odds)
    ? pick(draw, ODD_LENGTHS)
    : String(rarely(draw, odds) ? Math.max(0, bodyLength + draw(5) - 2) : bodyLength)
  return `${rarely(draw, 4) ? 'content-length' : 'Content-Length'}:${rarely(draw, 8) ? '' : ' '}${value}\r\n`
}

function coding(draw: Draw, odds: number): string {
  const name = rarely(draw, odds) ? pick(draw, CODING_NAMES) : 'Transfer-Encoding'
  return `${name}: ${rarely(draw, odds) ? pick(draw, CODINGS) : 'chunked'}\r\n`
}

function chunks(draw: Draw, odds: number, body: string): string {
  let text = ''
  for (let at = 0; at < body.length; ) {
    const piece = body.slice(at, at + 1 + draw(body.length))
    at += piece.length
    text += `${size(draw, odds, piece.length)}${extension(draw, odds)}\r\n${piece}`
    text += rarely(draw, odds) ? pick(draw, ODD_CHUNK_ENDS) : '\r\n'
  }
  text += `${pick(draw, ['0', '0', '0', '00', '000'])}${extension(draw, odds)}\r\n`
  if (rarely(draw, 4)) text += rarely(draw, odds) ? field(draw, 2) : `${pick(draw, TRAILERS)}\r\n`
  return text + (rarely(draw, odds) ? pick(draw, ODD_CHUNK_ENDS) : '\r\n')
}

function size(draw: Draw, odds: number, pieceLength: number): string {
  if (rarely(draw, odds)) return pick(draw, rarely(draw, 2) ? HUGE_SIZES : ODD_SIZES)
  const text = pieceLength.toString(16)
  return rarely(draw, 4) ? `0${text.toUpperCase()}` : text
}

function extension(draw: Draw, odds: number): string {
  if (rarely(draw, odds)) return pick(draw, ODD_EXTENSIONS)
  return rarely(draw, 6) ? pick(draw, EXTENSIONS) : ''
}

function drawBody(draw: Draw): string {
  if (rarely(draw, 1_000)) return 'b'.repeat(draw(20_000))
  let body = ''
  for (let left = draw(24); left > 0; left--) body += rarely(draw, 3) ? pick(draw, ['\r\n', '0', '\0', '\xff']) : 'b'
  return body
}
