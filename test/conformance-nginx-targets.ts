import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { conforms, conformsEach } from './conformance-helper.ts'
import { eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'

conforms(
  "proxy_unix.t 'proxy request', 'proxy request with multiple packets', 'proxy head request', 'proxy implicit upstream'",
  'a target on a unix socket is as good as any other',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
    const path = join(folder, 'target.sock')
    const server = createServer(async ({ method }, response) => {
      response.write(method === 'HEAD' ? '' : 'see this')
      setImmediate(() => response.end(' and this'))
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    t.after(() => {
      server.closeAllConnections()
      server.close()
      rmSync(folder, { recursive: true })
    })
    const gateway = await startGateway(t, [`unix:${path}`])

    assert.equal((await send(gateway.port)).body.toString(), 'see this and this')
    assert.equal((await send(gateway.port, { method: 'HEAD' })).body.toString(), '')
  }
)

conforms(
  "proxy_implicit.t 'implicit upstream', 'implicit upstream all tried'",
  'a name with several addresses is reached at the one that answers',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url.replace('127.0.0.1', 'localhost')])

    assert.equal((await send(gateway.port)).body.toString(), 'ok')
  }
)

conforms(
  "proxy_max_temp_file_size.t 'no pipe bufs - body', 'no temp file - body', with 'body length' of each",
  'a client that reads late gets the whole of a large body',
  async (t) => {
    const target = await startTarget(t, (_request, response) => response.end('X'.repeat(4 * 1024 * 1024)))
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)
    client.socket.pause()
    client.write('GET / HTTP/1.0\r\nHost: localhost\r\n\r\n')
    const [first] = gateway.app.balancers.get('users').targets
    await eventually(() => first?.inFlight === 1, 'nothing is sent')

    client.socket.resume()

    const text = await client.end()
    assert.equal(text.length - text.indexOf('\r\n\r\n') - 4, 4 * 1024 * 1024)
  }
)

conformsEach(
  "not_modified_proxy.t 'ims proxy ignored', 'iums proxy ignored', 'inm proxy ignored', 'inm etag proxy ignored'",
  'whether a response is fresh is for the target to say',
  ['if-modified-since', 'if-unmodified-since', 'if-none-match'],
  (name) => name,
  async (t, name) => {
    const [date, etag] = ['Wed, 25 Nov 2026 00:00:00 GMT', '"tag"']
    const target = await startTarget(t, (_request, response) => {
      response.writeHead(200, { 'last-modified': date, etag }).end('see this')
    })
    const gateway = await startGateway(t, [target.url])

    const reply = await send(gateway.port, { headers: { [name]: name === 'if-none-match' ? etag : date } })

    assert.deepEqual([reply.status, reply.body.toString()], [200, 'see this'])
  }
)
