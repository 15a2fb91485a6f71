import assert from 'node:assert/strict'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { MODES, modeOf } from './conformance-modes.ts'
import { pick, RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { byPath, startRecordingTarget } from './recording-target.ts'

/** nginx has modes with and without buffers; here a response goes straight to the socket, or past the hooks of the app. */

const TYPED = 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n'

conformsEach(
  "proxy.t 'proxy request', 'proxy head request'",
  'a body that the end of the connection ends arrives, and to HEAD none does',
  MODES,
  modeOf,
  async (t, mode) => {
    const target = await startRecordingTarget(t, (socket, { head }) => {
      socket.end(`${TYPED}connection: close\r\n\r\n${head.startsWith('HEAD') ? '' : 'see this'}`)
    })
    const gateway = await startGateway(t, [target.url], mode)

    const get = await send(gateway.port)
    const head = await send(gateway.port, { method: 'HEAD' })

    assert.deepEqual([get.status, get.body.toString(), get.complete], [200, 'see this', true])
    assert.deepEqual([head.status, head.body.toString()], [200, ''])
  }
)

conformsEach(
  "proxy.t 'proxy request with multiple packets'",
  'a body arrives in as many pieces as it comes in',
  MODES,
  modeOf,
  async (t, mode) => {
    const target = await startRecordingTarget(t, async (socket) => {
      socket.write(`${TYPED}connection: close\r\n\r\nsee this`)
      await client.until('see this')
      socket.end(' and this')
    })
    const gateway = await startGateway(t, [target.url], mode)
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n')

    assert.match(await client.end(), /see this and this$/)
  }
)

conforms(
  "proxy.t 'proxy connect timeout'",
  'the connect timeout does not run once the connection stands',
  async (t) => {
    const target = await startRecordingTarget(t, (socket) => {
      setTimeout(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'), 200)
    })
    const timeouts = { connect: 50, response: 0, idle: 0, total: 0 }
    const gateway = await startGateway(t, [target.url], { upstream: { timeouts } })

    assert.equal((await send(gateway.port)).status, 200)
  }
)

conforms(
  "proxy.t 'proxy_add_x_forwarded_for'",
  'addresses that a trusted proxy sends are kept in front of its own',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], { options: { trustedProxies: ['127.0.0.1'] } })

    await send(gateway.port, { headers: { 'x-forwarded-for': '192.0.2.1' } })

    assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'x-forwarded-for'), ['192.0.2.1, 127.0.0.1'])
  }
)

differs(
  'proxy.t (line ends of its targets)',
  'a head whose lines end in a bare line feed is a 502',
  'RFC 9112, section 2.2 allows to take it for a line end, but two parsers may then see two messages',
  async (t) => {
    const target = await startRecordingTarget(t, 'HTTP/1.1 200 OK\nConnection: close\n\nsee this')
    const gateway = await startGateway(t, [target.url])

    assert.equal((await send(gateway.port)).status, 502)
  }
)

conformsEach(
  "proxy_chunked.t 'chunked', 'chunked nobuffering', 'chunked inmemory'",
  'a chunked body arrives without its framing at a client of HTTP/1.0',
  MODES,
  modeOf,
  async (t, mode) => {
    const answer = `${TYPED}connection: close\r\ntransfer-encoding: chunked\r\n\r\n8\r\nsee this\r\n0\r\n\r\n`
    const target = await startRecordingTarget(t, (socket) => socket.end(answer))
    const gateway = await startGateway(t, [target.url], mode)
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n')

    const reply = await client.end()
    assert.match(reply, /\r\n\r\nsee this$/)
    assert.doesNotMatch(reply, /transfer-encoding/i)
  }
)

conformsEach(
  "proxy_chunked_extra.t 'chunked with extra data'",
  'nothing behind the last chunk reaches the client',
  MODES,
  modeOf,
  async (t, mode) => {
    const chunk = (size: number, char: string) => `${size.toString(16)}\r\n${char.repeat(size - 2)}\r\n\r\n`
    const target = await startRecordingTarget(t, async (socket) => {
      socket.write(`${TYPED}connection: close\r\ntransfer-encoding: chunked\r\n\r\n${chunk(128, 'x').repeat(4)}`)
      await client.until('xxxx')
      socket.end(`${chunk(117, 'y')}0\r\n\r\n${`${chunk(117, 'z')}0\r\n\r\n`.repeat(2)}`)
    })
    const gateway = await startGateway(t, [target.url], mode)
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.0\r\nHost: a\r\n\r\n')

    const reply = await client.end()
    assert.match(reply, /200 OK[\s\S]*y{115}\r\n$/)
    assert.doesNotMatch(reply, /zz/)
  }
)

const AMBIGUOUS = {
  'invalid length': 'content-length: foo\r\n\r\n',
  'duplicate length': 'content-length: 0\r\ncontent-length: 0\r\n\r\n',
  'unknown transfer encoding': 'transfer-encoding: foo\r\n\r\n',
  'duplicate transfer encoding': 'transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'length and transfer encoding': 'content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'transfer encoding and length': 'transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n0\r\n\r\n'
}

conformsEach(
  'proxy_duplicate_headers.t',
  'a response whose body could end in two places is a 502',
  Object.entries(AMBIGUOUS),
  ([name]) => name,
  async (t, [, rest]) => {
    const target = await startRecordingTarget(t, (socket) =>
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n${rest}`)
    )
    const gateway = await startGateway(t, [target.url])

    assert.equal((await send(gateway.port)).status, 502)
  }
)

conforms("proxy_duplicate_headers.t 'normal'", 'a response with one length passes', async (t) => {
  const answer = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'
  const target = await startRecordingTarget(t, (socket) => socket.end(answer))
  const gateway = await startGateway(t, [target.url])

  assert.equal((await send(gateway.port)).status, 200)
})

differs(
  "proxy_duplicate_headers.t 'duplicate expires ignored'",
  'a second Expires reaches the client',
  'the gateway does nothing by it, so which one counts is for the client to say',
  async (t) => {
    const target = await startRecordingTarget(
      t,
      'HTTP/1.1 200 OK\r\nExpires: a\r\nExpires: b\r\ncontent-length: 0\r\n\r\n'
    )
    const gateway = await startGateway(t, [target.url])

    assert.deepEqual(pick((await send(gateway.port)).raw, 'expires'), ['a', 'b'])
  }
)

conforms("proxy_method.t 'proxy_method from request'", 'the method goes out as it came', async (t) => {
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url])

  for (const method of ['GET', 'PUT', 'PURGE']) await send(gateway.port, { method })

  const methods = target.requests.map(({ head }) => head.slice(0, head.indexOf(' ')))
  assert.deepEqual(methods, ['GET', 'PUT', 'PURGE'])
})

conformsEach(
  "proxy_noclose.t 'request to bad backend', 'bad backend - multiple packets', 'content-length actually used'",
  'a response is over after its length, though the target keeps the connection that it said it would close',
  MODES,
  modeOf,
  async (t, mode) => {
    const head = `${TYPED}content-length: 17\r\nconnection: close\r\n\r\n`
    const target = await startRecordingTarget(
      t,
      byPath({
        '/': `${head}see this and this`,
        '/multi': (socket) => socket.write(`${head}see this`, () => setImmediate(() => socket.write(' and this')))
      })
    )
    const gateway = await startGateway(t, [target.url], mode)

    for (const path of ['/', '/multi']) {
      const reply = await send(gateway.port, { path })
      assert.deepEqual([reply.body.toString(), reply.complete], ['see this and this', true])
    }
    await gateway.idle()
  }
)

conforms(
  "proxy_noclose.t 'bad backend - no content length'",
  'without a length, what has come so far is delivered, and ends with the connection or the idle timeout',
  async (t) => {
    const target = await startRecordingTarget(t, `${TYPED}connection: close\r\n\r\nsee this`)
    const timeouts = { connect: 0, response: 0, idle: 100, total: 0 }
    const gateway = await startGateway(t, [target.url], { upstream: { timeouts } })

    const reply = await send(gateway.port)

    assert.deepEqual([reply.body.toString(), reply.complete], ['see this', false])
  }
)
