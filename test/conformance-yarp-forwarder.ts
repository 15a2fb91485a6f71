import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { eventually, pick, RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { startRecordingTarget, unframed } from './recording-target.ts'

const ODD = 'HTTP/1.1 234 Somewhat Odd\r\nx-response: 1\r\ncontent-language: fr\r\ncontent-length: 8\r\n\r\nresponse'

conforms(
  'HttpForwarderTests.NormalRequest_Works',
  'method, path, query, headers and body arrive; status, reason, headers and body come back',
  async (t) => {
    const target = await startRecordingTarget(t, ODD)
    const gateway = await startGateway(t, [target.url], { route: { rewrite: { prefix: '/base/dir', host: 'target' } } })
    const headers = { host: 'gw.test:3456', 'x-request': '1', 'content-language': 'de' }

    const reply = await send(gateway.port, { method: 'POST', path: '/api/test?a=b&c=d', headers }, 'request')

    const [request] = target.requests
    assert.ok(request !== undefined)
    assert.match(request.head, /^POST \/base\/dir\/api\/test\?a=b&c=d HTTP\/1\.1\r\n/)
    assert.deepEqual(valuesOf(request.head, 'host'), [new URL(target.url).host])
    assert.deepEqual(valuesOf(request.head, 'x-request'), ['1'])
    assert.deepEqual(valuesOf(request.head, 'content-language'), ['de'])
    assert.equal(unframed(request), 'request')
    assert.deepEqual([reply.status, reply.reason], [234, 'Somewhat Odd'])
    assert.deepEqual([...pick(reply.raw, 'x-response'), ...pick(reply.raw, 'content-language')], ['1', 'fr'])
    assert.equal(reply.body.toString(), 'response')
  }
)

conforms(
  'HttpForwarderTests.NormalRequestWithTransforms_Works',
  'path and headers change on the way in, headers on the way out',
  async (t) => {
    const target = await startRecordingTarget(t, ODD)
    const route = {
      rewrite: { prefix: '/prefix', host: 'target' },
      request: { headers: { set: { 'x-set': 'value' }, add: { 'x-request': 'more' } } },
      response: { headers: { set: { 'x-set': 'value' }, add: { 'x-response': 'more' } } }
    }
    const gateway = await startGateway(t, [target.url], { route })

    const headers = { 'x-request': '1', 'x-set': 'theirs' }
    const reply = await send(gateway.port, { method: 'POST', path: '/api?a=b', headers }, 'request')

    const head = target.requests[0]?.head ?? ''
    assert.match(head, /^POST \/prefix\/api\?a=b HTTP/)
    assert.deepEqual(valuesOf(head, 'x-set'), ['value'])
    assert.deepEqual(valuesOf(head, 'x-request'), ['1', 'more'])
    assert.deepEqual(pick(reply.raw, 'x-set'), ['value'])
    assert.deepEqual(pick(reply.raw, 'x-response'), ['1', 'more'])
  }
)

conforms(
  'HttpForwarderTests.TransformRequestAsync_ReplaceBody',
  'a preParsing hook may put another body in place',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('preParsing', async (_request, _reply, payload) => {
          payload.resume()
          return Readable.from([Buffer.from('another one')])
        })
      }
    })

    await send(gateway.port, { method: 'POST' }, 'one')

    const [request] = target.requests
    assert.equal(request && unframed(request), 'another one')
  }
)

conformsEach(
  'HttpForwarderTests.TransformRequestAsync_SetsStatus_ShortCircuits',
  'a layer that answers keeps the request from the target',
  ['', 'body'],
  (body) => body || 'without a body',
  async (t, body) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onRequest', async (_request, reply) => reply.code(401).send('not you'))
      }
    })

    const reply = await send(gateway.port, { method: 'POST' }, body)

    assert.deepEqual([reply.status, reply.body.toString()], [401, 'not you'])
    assert.equal(target.requests.length, 0)
  }
)

conforms(
  'HttpForwarderTests.TransformRequestAsync_StartsResponse_ShortCircuits, TransformRequestAsync_WritesToResponse_ShortCircuits',
  'a hook that takes the answer into its own hands keeps the request from the target',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onRequest', async (_request, reply) => {
          reply.hijack()
          reply.raw.end('Hello World')
        })
      }
    })

    assert.equal((await send(gateway.port)).body.toString(), 'Hello World')
    assert.equal(target.connections(), 0)
  }
)

conformsEach(
  'HttpForwarderTests.RequestWithoutBodies_NoHttpContent',
  'a request without a body goes out without one, its other headers kept',
  [
    ...['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'].map((method) => ({
      method,
      header: 'X-Any: 1'
    })),
    ...['Allow: Foo', 'Content-Disposition: Foo', 'Content-Encoding: Foo', 'Content-Language: Foo'].map(onGet),
    ...['Content-Location: Foo', 'Content-MD5: Foo', 'Content-Range: Foo', 'Content-Type: Foo'].map(onGet),
    ...['Expires: Foo', 'Last-Modified: Foo'].map(onGet)
  ],
  ({ method, header }) => `${method} ${header}`,
  async (t, { method, header }) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${method} / HTTP/1.1\r\nHost: a\r\n${header}\r\n\r\n`)

    assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 200 /)
    const head = target.requests[0]?.head ?? ''
    assert.match(head, new RegExp(`^${method} / HTTP/1\\.1\r\n[\\s\\S]*^${header}\r$`, 'm'))
    assert.doesNotMatch(head, /^(content-length|transfer-encoding):/im)
  }
)

conformsEach(
  'HttpForwarderTests.RequestWithBodies_HasHttpContent',
  'a body goes out with the framing it came with, whatever the method',
  [
    { method: 'GET', framing: 'content-length: 10', body: 'aaaaaaaaaa' },
    { method: 'DELETE', framing: 'content-length: 10', body: 'aaaaaaaaaa' },
    { method: 'SEARCH', framing: 'content-length: 10', body: 'aaaaaaaaaa' },
    { method: 'POST', framing: 'content-length: 0', body: '' },
    { method: 'GET', framing: 'content-length: 0', body: '' },
    { method: 'HEAD', framing: 'transfer-encoding: chunked', body: '0\r\n\r\n' },
    { method: 'PATCH', framing: 'transfer-encoding: chunked', body: '2\r\naa\r\n0\r\n\r\n' }
  ],
  ({ method, framing }) => `${method}, ${framing}`,
  async (t, { method, framing, body }) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${method} / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${body}`)

    await client.until('\r\n\r\n')
    const [request] = target.requests
    assert.match(request?.head ?? '', new RegExp(`^${framing}$`, 'm'))
    assert.equal(request?.body, body)
  }
)

differs(
  'HttpForwarderTests.RequestWithoutBodies_NoHttpContent (TRACE), RequestUtilitiesTests.GetHttpMethod_Trace_Works',
  'TRACE is a 405',
  'it would echo credentials and cookies back (RFC 9110, section 9.3.8)',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])

    assert.equal((await send(gateway.port, { method: 'TRACE' })).status, 405)
    assert.equal(target.requests.length, 0)
  }
)

differs(
  'HttpForwarderTests.RequestWithoutBodies_NoHttpContent (unknown method), RequestUtilitiesTests.GetHttpMethod_Unknown_Works',
  'a method that Node.js cannot parse is a 400',
  'the parser of Node.js has a list of methods',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('UNKNOWN / HTTP/1.1\r\nHost: a\r\n\r\n')

    assert.match(await client.end(), /^HTTP\/1\.1 400 /)
  }
)

conformsEach(
  'RequestUtilitiesTests.GetHttpMethod_Invalid_Throws',
  'what is no method is a 400',
  [' GET', 'G;ET', 'G ET'],
  (method) => `'${method}'`,
  async (t, method) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`)

    assert.match(await client.end(), /^HTTP\/1\.1 400 /)
    assert.equal(target.connections(), 0)
  }
)

conforms(
  'HttpForwarderTests.ResponseBodySuppressedByTransform_ReturnsStatusCodeAndHeaders',
  'a hook may drop the body; status and headers stay, and the target is released',
  async (t) => {
    let closed = false
    const target = await startTarget(t, (_request, response) => {
      response.writeHead(422, { 'accept-ranges': 'bytes' }).write('endless')
      response.on('close', () => {
        closed = true
      })
    })
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onSend', async () => null)
      }
    })

    const reply = await send(gateway.port)

    assert.deepEqual([reply.status, reply.body.toString(), reply.complete], [422, '', true])
    assert.deepEqual(pick(reply.raw, 'accept-ranges'), ['bytes'])
    await eventually(() => closed, 'the target goes on')
    await gateway.idle()
  }
)

function onGet(header: string) {
  return { method: 'GET', header }
}
