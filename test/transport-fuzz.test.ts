import assert from 'node:assert/strict'
import { request } from 'node:http'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { BadResponseError } from '../plugins/errors.ts'
import { seededRandom } from './route-helper.ts'
import { type Parsed, parse } from './transport-parser-helper.ts'

const ROUNDS = 3_000
const ALPHABET = ['\r', '\n', '\r\n', ' ', '\t', ':', ';', ',', '0', '1', 'a', 'f', 'Z', '\0', '\x7f', '\x80', '"', '-']

const SEEDS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-A: b\r\n\r\nhello world',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-T: 1\r\n\r\n',
  'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nup to the end'
]

type Random = (below: number) => number

test('nothing is accepted that Node.js refuses, and nothing is framed in another way', async () => {
  const draw = seededRandom(20_261_123)
  const random: Random = (below) => Math.floor(draw() * below)
  let accepted = 0

  for (let round = 0; round < ROUNDS; round++) {
    const input = Buffer.from(mutate(SEEDS[random(SEEDS.length)] ?? '', random), 'latin1')
    const splits = Array.from({ length: random(4) }, () => random(input.length)).sort((a, b) => a - b)
    const ours = tryParse(input, splits)
    // What follows a complete message is nobody's answer, and no business of this comparison.
    if (ours === undefined || !ours.ended || ours.excess) continue
    accepted++

    assert.deepEqual([input.toString('latin1'), await parseWithNode(input)], [input.toString('latin1'), frameOf(ours)])
  }

  assert.ok(accepted > ROUNDS / 10)
})

function tryParse(input: Buffer, splits: number[]): Parsed | undefined {
  try {
    return parse(input, { splits, close: true })
  } catch (error) {
    assert.ok(error instanceof BadResponseError)
    return undefined
  }
}

function mutate(seed: string, random: Random): string {
  let text = seed
  for (let left = 1 + random(3); left > 0; left--) {
    const at = random(text.length)
    const drawn = ALPHABET[random(ALPHABET.length)] ?? ''
    const kind = random(5)
    if (kind === 0) text = text.slice(0, at) + drawn + text.slice(at)
    else if (kind === 1) text = text.slice(0, at) + drawn + text.slice(at + 1)
    else if (kind === 2) text = text.slice(0, at) + text.slice(at + 1 + random(4))
    else if (kind === 3) text = text.slice(0, at) + text.slice(at, at + random(20)) + text.slice(at)
    else text = repeatLine(text, at)
  }
  return text
}

function repeatLine(text: string, at: number): string {
  const start = text.lastIndexOf('\n', at) + 1
  const end = text.indexOf('\n', at) + 1
  return end === 0 ? text : text.slice(0, end) + text.slice(start, end) + text.slice(end)
}

interface Frame {
  status: number
  headers: string[]
  body: string
  trailers: string[]
}

function frameOf({ status, headers, body, trailers }: Parsed): Frame {
  return { status, headers, body, trailers }
}

/** What the HTTP client of Node.js, strict as it is by default, makes of the bytes; the error if it refuses them. */
function parseWithNode(input: Buffer): Promise<Frame | string> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write: (_chunk, _encoding, done) => done()
    })
    const sent = request({ createConnection: () => socket, insecureHTTPParser: false }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1')
      })
      response.on('error', (error) => resolve(`cut: ${error.message}`))
      response.on('end', () => {
        const { statusCode: status = 0, rawHeaders: headers, rawTrailers: trailers } = response
        resolve({ status, headers, body, trailers })
      })
    })
    sent.on('error', (error) => resolve(`refused: ${error.message}`))
    sent.end()
    socket.push(input)
    socket.push(null)
  })
}
