import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { build } from '../examples/policies/compress.ts'
import { start } from './ecosystem-helper.ts'

test('compress: a JSON response of a target is compressed and framed anew', async (t) => {
  const json = JSON.stringify({ list: 'x'.repeat(10_000) })
  const { app } = await start(t, build, (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.setHeader('content-length', json.length)
    response.end(json)
  })

  for (const [coding, decode] of [
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync]
  ] as const) {
    const { headers, rawPayload } = await app.inject({ url: '/api/1', headers: { 'accept-encoding': coding } })

    assert.equal(headers['content-encoding'], coding)
    assert.equal(headers.vary, 'accept-encoding')
    assert.notEqual(headers['content-length'], String(json.length))
    assert.ok(rawPayload.length < 1_000)
    assert.equal(decode(rawPayload).toString(), json)
  }
})

test('compress: a large streamed response arrives whole over a real connection', async (t) => {
  const line = `${'y'.repeat(1_023)}\n`
  const { app } = await start(t, build, (_request, response) => {
    response.setHeader('content-type', 'text/plain')
    for (let i = 0; i < 300; i++) response.write(line)
    response.end()
  })
  const base = await app.listen({ port: 0 })

  const response = await fetch(`${base}/api/1`, { headers: { 'accept-encoding': 'gzip' } })
  const text = await response.text()

  assert.equal(response.headers.get('content-encoding'), 'gzip')
  assert.equal(response.headers.get('transfer-encoding'), 'chunked')
  assert.equal(text, line.repeat(300))
})

test('compress: a small response stays as it is', async (t) => {
  const { app } = await start(t, build, (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end('{"small":true}')
  })

  const { headers, body } = await app.inject({ url: '/api/1', headers: { 'accept-encoding': 'gzip' } })

  assert.equal(headers['content-encoding'], undefined)
  assert.equal(headers['content-length'], '14')
  assert.equal(body, '{"small":true}')
})

test('compress: a response that is encoded already stays as it is', async (t) => {
  const encoded = gzipSync('z'.repeat(50_000), { level: 0 })
  const { app } = await start(t, build, (_request, response) => {
    response.setHeader('content-type', 'text/plain')
    response.setHeader('content-encoding', 'gzip')
    response.setHeader('content-length', encoded.length)
    response.end(encoded)
  })

  const { headers, rawPayload } = await app.inject({ url: '/api/1', headers: { 'accept-encoding': 'br, gzip' } })

  assert.equal(headers['content-encoding'], 'gzip')
  assert.equal(headers['content-length'], String(encoded.length))
  assert.deepEqual(rawPayload, encoded)
})

test('compress: an encoded request body reaches the target as the client sent it', async (t) => {
  const encoded = gzipSync('a body')
  const { app } = await start(t, build, async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    response.setHeader('x-coding', request.headers['content-encoding'] ?? 'none')
    response.end(Buffer.concat(chunks).toString('hex'))
  })

  const { headers, body } = await app.inject({
    method: 'POST',
    url: '/api/1',
    headers: { 'content-encoding': 'gzip', 'content-type': 'text/plain' },
    payload: encoded
  })

  assert.equal(headers['x-coding'], 'gzip')
  assert.equal(body, encoded.toString('hex'))
})
