import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { conforms, conformsEach } from './conformance-helper.ts'
import { MODES } from './conformance-modes.ts'
import { eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'
import { type Answer, startRecordingTarget } from './recording-target.ts'

const TYPED = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n'
const CHUNKS = 'a\r\n0123456789\r\n'.repeat(100)

interface Kind {
  name: string
  answer: string | Answer
  method?: string
  body: string
  status?: number
}

const KINDS: Kind[] = [
  { name: 'length', answer: `${TYPED}content-length: 8\r\n\r\nsee this`, body: 'see this' },
  { name: 'chunked', answer: `${TYPED}transfer-encoding: chunked\r\n\r\n8\r\nsee this\r\n0\r\n\r\n`, body: 'see this' },
  { name: 'complex chunked', answer: inPieces, body: `${'0123456789'.repeat(100)}see this` },
  { name: '0 chunk', answer: `${TYPED}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`, body: '' },
  { name: 'head', answer: `${TYPED}content-length: 8\r\n\r\n`, method: 'HEAD', body: '' },
  { name: 'empty', answer: `${TYPED}content-length: 0\r\n\r\n`, body: '' },
  { name: '304', answer: 'HTTP/1.1 304 Not Modified\r\n\r\n', body: '', status: 304 },
  { name: '304 with length', answer: 'HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n', body: '', status: 304 }
]

conformsEach(
  'proxy_keepalive.t buffered and unbuffered, each twice',
  'the next request goes out on the connection of a response that was read to its end',
  MODES.flatMap((mode) => KINDS.map((kind) => ({ mode, kind }))),
  ({ mode, kind }) => `${kind.name} ${'prepare' in mode ? 'with an onSend hook' : 'without hooks'}`,
  async (t, { mode, kind: { answer, method = 'GET', body, status = 200 } }) => {
    const target = await startRecordingTarget(t, answer)
    const gateway = await startGateway(t, [target.url], mode)

    for (let i = 0; i < 2; i++) {
      const reply = await send(gateway.port, { method })
      assert.deepEqual([reply.status, reply.body.toString()], [status, body])
      await gateway.idle()
    }

    assert.deepEqual([target.requests.length, target.connections()], [2, 1])
  }
)

conformsEach(
  "proxy_keepalive.t 'buffered closed 1', 'buffered closed 2', 'unbuffered closed 1', 'unbuffered closed 2'",
  'a connection that the target closes behind its response is not used again, and nobody notices',
  MODES,
  (mode) => ('prepare' in mode ? 'with an onSend hook' : 'without hooks'),
  async (t, mode) => {
    const answer = `${TYPED}connection: close\r\ncontent-length: 8\r\n\r\nsee this`
    const target = await startRecordingTarget(t, (socket) => socket.end(answer))
    const gateway = await startGateway(t, [target.url], mode)

    for (let i = 0; i < 2; i++) assert.equal((await send(gateway.port)).body.toString(), 'see this')

    assert.equal(target.connections(), 2)
  }
)

conforms(
  "proxy_keepalive.t 'no errors'",
  'connections that are kept, closed and opened anew leave no trace in the log',
  async (t) => {
    const lines: unknown[] = []
    const target = await startRecordingTarget(t, (socket, _request, index) => {
      socket.write(`${TYPED}content-length: 8\r\n\r\nsee this`)
      if (index % 2 === 1) socket.end()
    })
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onRequest', async (request) => {
          request.log.warn = (...details: unknown[]) => {
            lines.push(details)
          }
        })
      }
    })

    for (let i = 0; i < 6; i++) {
      assert.equal((await send(gateway.port)).status, 200)
      await gateway.idle()
      if (i % 2 === 1) await eventually(() => target.sockets.size === 0, 'the connection stays')
    }

    assert.deepEqual(lines, [])
  }
)

conforms(
  "proxy_request_buffering_keepalive.t 'keepalive after discarded'",
  'a connection whose request was answered before its body had been sent is not used again',
  async (t) => {
    const connections: string[] = []
    // Answers as soon as it sees a head, and would take the rest of a body for the next request.
    const target = await startRawTarget(t, (socket) => {
      const at = connections.push('') - 1
      socket.on('data', (chunk) => {
        connections[at] += chunk.toString('latin1')
        if (chunk.includes('\r\n\r\n')) socket.write(`${TYPED}content-length: 8\r\n\r\nsee this`)
      })
    })
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n')
    await client.until('see this')
    const next = await send(gateway.port, { path: '/next' })

    assert.equal(next.body.toString(), 'see this')
    assert.deepEqual(
      connections.map((text) => text.split(' ')[1]),
      ['/first', '/next']
    )
  }
)

/** A chunked body in pieces that end anywhere, the last empty line in one of its own. */
function inPieces(socket: Socket): void {
  const bytes = `${TYPED}transfer-encoding: chunked\r\n\r\n${CHUNKS}8\r\nsee this\r\n0\r\n\r\n`
  const pieces = [bytes.slice(0, 700), bytes.slice(700, -2), bytes.slice(-2)]
  const next = () => {
    const piece = pieces.shift()
    if (piece !== undefined) socket.write(piece, () => setTimeout(next, 5))
  }
  next()
}
