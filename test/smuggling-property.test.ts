import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Lanes } from './raw-case-lane.ts'
import { seededRandom } from './route-helper.ts'
import { type SeenRequest, StrictRequestReader } from './strict-request-reader.ts'

const ROUNDS = 500
const LANES = 12
/** Milliseconds without news after which the rest of a request is taken never to come. */
const QUIET = 40
const BEHIND = 'GET /behind HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n'

const HOST = 'Host: gw.test\r\n'
const SEEDS = [
  `GET /a?b=c HTTP/1.1\r\n${HOST}Accept: */*\r\n\r\n`,
  `POST /a HTTP/1.1\r\n${HOST}Content-Length: 11\r\nX-A: b\r\n\r\nhello world`,
  `POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n`,
  `PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n${HOST}\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-T: 1\r\n\r\n`,
  `DELETE /a HTTP/1.1\r\n${HOST}Connection: keep-alive, x-a\r\nX-A: b\r\nContent-Length: 0\r\n\r\n`,
  `HEAD /a HTTP/1.1\r\n${HOST}TE: trailers\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n`,
  `POST /a HTTP/1.0\r\n${HOST}Connection: keep-alive\r\nContent-Length: 3\r\n\r\nabc`,
  `GET http://gw.test/a HTTP/1.1\r\n${HOST}X-Forwarded-For: 1.2.3.4\r\n\r\n`
]
const LINES = [
  'Content-Length: 3\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding:\r\n chunked\r\n',
  'Connection: content-length, transfer-encoding, host\r\n',
  'Connection: close\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: foo\r\nConnection: upgrade\r\n',
  'Host: evil\r\n',
  '0\r\n\r\n',
  '\r\n',
  'GET /in HTTP/1.1\r\nHost: evil\r\n\r\n'
]
const BYTES = [...'\r\n \t:;,01aAfZ\0\x0b\x7f\x80\xff"-+_=/*%.'].concat('\r\n', '\r\n\r\n', 'chunked', '0x')
const MANAGED = /^(?:host|via|te|cookie|connection|upgrade|content-length|transfer-encoding|x-forwarded-.*)$/i

test('what reaches a target is what a strict reader sees in the bytes of the client, or nothing', async (t) => {
  const lanes = new Lanes(LANES)
  after(() => lanes.close())
  const draw = seededRandom(20_261_125)
  const inputs = Array.from({ length: ROUNDS }, () => mutate(draw))
  const violations: unknown[] = []
  let forwarded = 0
  let refused = 0

  const work = async () => {
    for (let bytes = inputs.pop(); bytes !== undefined; bytes = inputs.pop()) {
      const text = bytes + BEHIND
      const reader = new StrictRequestReader({ client: true })
      reader.push(text)
      const methods = reader.requests.map(({ method }) => method)
      const { seen, broken } = await lanes.use('plain', (lane) => lane.feed(text, methods, QUIET))

      const junk = seen.answers.filter(({ status }) => status === 0).map(({ head }) => `answer ${head}`)
      const found = [...broken, ...junk, ...unexplained(seen.requests, reader.requests)]
      if (found.length > 0) violations.push([text, found])
      forwarded += seen.requests.length
      if (seen.answers.some(({ status }) => status >= 400)) refused++
    }
  }
  await Promise.all(Array.from({ length: LANES }, work))

  assert.deepEqual(violations, [])
  t.diagnostic(`${forwarded} requests forwarded, ${refused} inputs refused`)
  assert.ok(forwarded > ROUNDS / 4 && refused > ROUNDS / 10)
})

/** Requests at the target that are not, in order, among those of the client. Some of these may have been refused. */
function unexplained(received: readonly SeenRequest[], sent: readonly SeenRequest[]): string[] {
  let next = 0
  const found: string[] = []
  for (const request of received) {
    const at = sent.findIndex((candidate, i) => i >= next && isSame(request, candidate))
    if (at < 0) found.push(`${request.method} ${request.target} ${JSON.stringify(request.body)}`)
    else next = at + 1
  }
  return found
}

function isSame(received: SeenRequest, sent: SeenRequest): boolean {
  const path = sent.target.replace(/^http:\/\/[^/?]+/i, '') || '/'
  if (received.method !== sent.method || received.target !== path || !hasHeadersOf(received, sent)) return false
  return received.complete ? sent.complete && received.body === sent.body : sent.body.startsWith(received.body)
}

/** Whether all headers of one request, but those that are the gateway's business, are the other's, in their order. */
function hasHeadersOf(received: SeenRequest, sent: SeenRequest): boolean {
  const left = sent.headers.map(([name, value]) => `${name}: ${value}`)
  return received.headers
    .filter(([name]) => !MANAGED.test(name))
    .every(([name, value]) => {
      const at = left.indexOf(`${name}: ${value}`)
      left.splice(0, at + 1)
      return at >= 0
    })
}

function mutate(draw: () => number): string {
  const below = (limit: number) => Math.floor(draw() * limit)
  const one = <T>(list: readonly [T, ...T[]] | readonly T[]): T => list[below(list.length)] as T
  let text = one(SEEDS)
  if (below(3) === 0) text += one(SEEDS)
  for (let left = 1 + below(3); left > 0; left--) {
    const at = below(text.length)
    const line = text.indexOf('\r\n', at) + 2
    switch (below(6)) {
      case 0:
        text = text.slice(0, at) + one(BYTES) + text.slice(at)
        break
      case 1:
        text = text.slice(0, at) + one(BYTES) + text.slice(at + 1)
        break
      case 2:
        text = text.slice(0, at) + text.slice(at + 1 + below(4))
        break
      case 3:
        text = text.slice(0, line) + one(LINES) + text.slice(line)
        break
      case 4:
        text = text.slice(0, at) + text.slice(at, line) + text.slice(at)
        break
      default:
        text = text.slice(0, at) + text.slice(at).replace(/\d/, String(below(20)))
    }
  }
  return text
}
