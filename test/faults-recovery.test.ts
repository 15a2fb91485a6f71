import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { test } from 'node:test'
import { assertError, eventually, RawClient, send, startGateway } from './forwarding-helper.ts'
import { portOf, startTarget } from './helper.ts'
import { startServer } from './server-helper.ts'

/** A target that can be taken down and comes back on its port. */
class Restartable {
  private server: Server | undefined = undefined
  private port = 0

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async up(): Promise<void> {
    const server = createServer((_request, response) => response.end('up'))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, '127.0.0.1', resolve)
    })
    this.port = portOf(server)
    this.server = server
  }

  async down(): Promise<void> {
    const { server } = this
    await new Promise((resolve) => {
      if (server === undefined) resolve(undefined)
      else {
        server.close(resolve)
        server.closeAllConnections()
      }
    })
  }
}

test('when all targets are down every request fails at once, and works again soon after they are back', async (t) => {
  const targets = [new Restartable(), new Restartable()]
  for (const target of targets) await target.up()
  t.after(() => Promise.all(targets.map((target) => target.down())))
  const gateway = await startGateway(
    t,
    targets.map(({ url }) => ({ url, failTimeout: 50 }))
  )
  assert.equal((await send(gateway.port)).status, 200)

  for (const target of targets) await target.down()
  const failures = [await send(gateway.port), await send(gateway.port), await send(gateway.port)]
  for (const target of targets) await target.up()
  let status = 0
  const start = performance.now()
  while (status !== 200 && performance.now() - start < 2_000) status = (await send(gateway.port)).status

  assert.ok(failures.every((reply) => reply.status === 502 || reply.status === 503))
  assert.equal(status, 200)
  await gateway.idle()
})

test('an only target works again as soon as it is back, whatever its failures', async (t) => {
  const target = new Restartable()
  await target.up()
  t.after(() => target.down())
  const gateway = await startGateway(t, [target.url])

  await target.down()
  assertError(await send(gateway.port), 502, 'FST_GATEWAY_CONNECT_FAILED')
  await target.up()

  assert.equal((await send(gateway.port)).status, 200)
})

test('a body that comes byte by byte is cut off by requestTimeout, and the target is not left waiting', async (t) => {
  let aborted = 0
  const { url } = await startTarget(t, (request) => {
    request.on('error', () => aborted++)
    request.resume()
  })
  const { port, idle } = await startServer(t, [url], { server: { headersTimeout: 200, requestTimeout: 300 } })
  const slow = new RawClient(t, port)
  slow.write('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 100000\r\n\r\n')
  const drip = setInterval(() => slow.write('x'), 20)
  t.after(() => clearInterval(drip))

  await eventually(() => slow.closed !== 'no', 'the connection stays open')
  clearInterval(drip)

  await eventually(() => aborted === 1, 'the target still waits')
  await idle()
})
