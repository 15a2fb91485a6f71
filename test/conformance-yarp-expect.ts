import assert from 'node:assert/strict'
import { request as sendHttp } from 'node:http'
import { conformsEach } from './conformance-helper.ts'
import { type Reply, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

/** More than is kept for a second attempt, so that the target itself is asked. */
const BODY = Buffer.alloc(512 * 1024, 'a')
const FRAMINGS = [true, false]
const framingOf = (length: boolean) => (length ? 'with a length' : 'chunked')

/** Sends a body only once it is asked for. Says whether it was. */
function post(
  port: number,
  length: boolean
): Promise<Pick<Reply, 'status' | 'body' | 'complete'> & { asked: boolean }> {
  return new Promise((resolve, reject) => {
    let asked = false
    const framing = length ? { 'content-length': BODY.length } : { 'transfer-encoding': 'chunked' }
    const headers = { expect: '100-continue', ...framing }
    const request = sendHttp({ host: '127.0.0.1', port, method: 'POST', agent: false, headers })
    request.on('continue', () => {
      asked = true
      request.end(BODY)
    })
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => {})
      response.on('close', () => {
        request.destroy()
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks), complete: response.complete, asked })
      })
    })
    request.on('error', reject)
    request.flushHeaders()
  })
}

conformsEach(
  'Expect100ContinueTests.PostExpect100_BodyNotUploadedIfFailed (200)',
  'the target is asked, lets the body in, and gets it whole',
  FRAMINGS,
  framingOf,
  async (t, length) => {
    const chunks: Buffer[] = []
    let expectation: string | undefined
    const target = await startTarget(t, () => {})
    target.server.on('checkContinue', (request, response) => {
      expectation = request.headers.expect
      response.writeContinue()
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => response.end())
    })
    const gateway = await startGateway(t, [target.url])

    const reply = await post(gateway.port, length)

    assert.deepEqual([reply.status, reply.asked, expectation], [200, true, '100-continue'])
    assert.ok(Buffer.concat(chunks).equals(BODY))
  }
)

conformsEach(
  'Expect100ContinueTests.PostExpect100_BodyNotUploadedIfFailed (400), HttpForwarderTests.Expect100ContinueWithFailedResponse_ReturnResponse',
  'a target that refuses keeps the body with the client',
  FRAMINGS,
  framingOf,
  async (t, length) => {
    let received = 0
    const target = await startTarget(t, () => {})
    target.server.on('checkContinue', (request, response) => {
      request.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      response.writeHead(409).end('no')
    })
    const gateway = await startGateway(t, [target.url])

    const reply = await post(gateway.port, length)

    assert.deepEqual([reply.status, reply.body.toString(), reply.asked], [409, 'no', false])
    await gateway.idle()
    assert.equal(received, 0)
  }
)

conformsEach(
  'Expect100ContinueTests.PostExpect100_ResponseWithPayload',
  'after the body a large response comes back whole, or visibly cut',
  FRAMINGS.flatMap((length) => [true, false].map((whole) => ({ length, whole }))),
  ({ length, whole }) => `${whole ? 'whole' : 'cut'}, ${framingOf(length)}`,
  async (t, { length, whole }) => {
    const target = await startTarget(t, () => {})
    target.server.on('checkContinue', (request, response) => {
      response.writeContinue()
      request.resume().on('end', () => {
        const framing = length ? { 'content-length': BODY.length } : {}
        response.writeHead(400, framing)
        if (whole) response.end(BODY)
        else response.write(BODY.subarray(0, BODY.length / 2), () => response.destroy())
      })
    })
    const gateway = await startGateway(t, [target.url])

    const reply = await post(gateway.port, length)

    assert.deepEqual([reply.status, reply.asked, reply.complete], [400, true, whole])
    if (whole) assert.ok(reply.body.equals(BODY))
  }
)

conformsEach(
  'Expect100ContinueTests.PostExpect100_SkipRequestBodyWithUnsuccesfulResponseCode',
  'a refusal with a large response comes whole, and the body is not sent',
  FRAMINGS,
  framingOf,
  async (t, length) => {
    const target = await startTarget(t, () => {})
    target.server.on('checkContinue', (_request, response) => {
      response.writeHead(400, length ? { 'content-length': BODY.length } : {}).end(BODY)
    })
    const gateway = await startGateway(t, [target.url])

    const reply = await post(gateway.port, length)

    assert.deepEqual([reply.status, reply.asked, reply.complete], [400, false, true])
    assert.ok(reply.body.equals(BODY))
  }
)
