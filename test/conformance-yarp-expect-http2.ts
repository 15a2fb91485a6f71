import assert from 'node:assert/strict'
import { request as sendHttp } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { conformsEach } from './conformance-helper.ts'
import { startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { startHttp2Gateway } from './http2-helper.ts'
import { startHttp2Target } from './http2-transport-helper.ts'

type Context = Parameters<typeof startGateway>[0]

const BODY = Buffer.alloc(512 * 1024, 'a')
const VERSIONS = [
  { client: 1, target: 2 },
  { client: 2, target: 1 },
  { client: 2, target: 2 }
]
const versionsOf = ({ client, target }: { client: number; target: number }) => `HTTP/${client} to HTTP/${target}`

/** A target that asks for the body and answers 200, or refuses it with 400. */
async function startAskedTarget(t: Context, version: number, accepts: boolean) {
  const chunks: Buffer[] = []
  const state = { received: () => Buffer.concat(chunks), expectation: '' }
  if (version === 1) {
    const target = await startTarget(t, () => {})
    target.server.on('checkContinue', (request, response) => {
      state.expectation = request.headers.expect ?? ''
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      if (accepts) response.writeContinue()
      if (accepts) request.on('end', () => response.end())
      else response.writeHead(400).end('no')
    })
    return { url: target.url, state }
  }
  const target = await startHttp2Target(t, (stream: ServerHttp2Stream, fields) => {
    state.expectation = String(fields.expect ?? '')
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    if (accepts) stream.additionalHeaders({ ':status': 100 })
    stream.respond({ ':status': accepts ? 200 : 400 })
    if (accepts) stream.on('end', () => stream.end())
    else stream.end('no')
  })
  return { url: target.url, state }
}

/** Sends a body only once it is asked for. */
async function post(t: Context, version: number, url: string, upstream: { http2: boolean }) {
  if (version === 1) {
    const { port } = await startGateway(t, [url], { upstream })
    return new Promise<{ status: number; asked: boolean }>((resolve, reject) => {
      let asked = false
      const headers = { expect: '100-continue', 'content-length': BODY.length }
      const request = sendHttp({ host: '127.0.0.1', port, method: 'POST', agent: false, headers })
      request.on('continue', () => {
        asked = true
        request.end(BODY)
      })
      request.on('response', (response) => {
        response.resume().on('close', () => {
          request.destroy()
          resolve({ status: response.statusCode ?? 0, asked })
        })
      })
      request.on('error', reject)
      request.flushHeaders()
    })
  }
  const gateway = await startHttp2Gateway(t, [url], { upstream })
  const fields = { ':method': 'POST', ':path': '/', expect: '100-continue', 'content-length': BODY.length }
  const stream = gateway.connect().request(fields, { endStream: false })
  return new Promise<{ status: number; asked: boolean }>((resolve) => {
    let [asked, status] = [false, 0]
    stream.on('continue', () => {
      asked = true
      stream.end(BODY)
    })
    stream.on('response', (response) => {
      status = response[':status'] ?? 0
    })
    stream.on('error', () => {})
    stream.resume().on('end', () => resolve({ status, asked }))
  })
}

conformsEach(
  'Expect100ContinueTests.PostExpect100_BodyNotUploadedIfFailed (HTTP/2, 200)',
  'the target is asked, lets the body in, and gets it whole',
  VERSIONS,
  versionsOf,
  async (t, { client, target }) => {
    const { url, state } = await startAskedTarget(t, target, true)

    const reply = await post(t, client, url, { http2: target === 2 })

    assert.deepEqual([reply.status, reply.asked, state.expectation], [200, true, '100-continue'])
    assert.ok(state.received().equals(BODY))
  }
)

conformsEach(
  'Expect100ContinueTests.PostExpect100_BodyNotUploadedIfFailed (HTTP/2, 400), PostExpect100_SkipRequestBodyWithUnsuccesfulResponseCode (HTTP/2)',
  'a target that refuses keeps the body with the client',
  VERSIONS,
  versionsOf,
  async (t, { client, target }) => {
    const { url, state } = await startAskedTarget(t, target, false)

    const reply = await post(t, client, url, { http2: target === 2 })

    assert.deepEqual([reply.status, reply.asked, state.expectation], [400, false, '100-continue'])
    assert.equal(state.received().length, 0)
  }
)
