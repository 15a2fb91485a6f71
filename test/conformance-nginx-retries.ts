import assert from 'node:assert/strict'
import { InvalidConfigError } from '../plugins/errors.ts'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { assertError, send, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { type Answer, byPath, type RecordingTarget, startRecordingTarget, unframed } from './recording-target.ts'

type Context = Parameters<typeof startGateway>[0]
type Retry = NonNullable<UpstreamSketch['retry']>

const NOW = { backoff: { base: 0 } }
const status = (code: number, body = String(code)) =>
  `HTTP/1.1 ${code} Said So\r\ncontent-length: ${body.length}\r\n\r\n${body}`
const hangUp: Answer = (socket) => socket.destroy()

/** A gateway over targets that answer like this, in round robin from the first. */
async function over(t: Context, answers: (string | Answer)[], retry: Retry, options: { maxFails?: number } = {}) {
  const targets: RecordingTarget[] = []
  for (const answer of answers) targets.push(await startRecordingTarget(t, answer))
  const gateway = await startGateway(
    t,
    targets.map(({ url }) => ({ url, ...options })),
    { upstream: { retry: { ...NOW, ...retry } } }
  )
  const asked = () => targets.map(({ requests }) => requests.length)
  return { ...gateway, targets, asked }
}

conforms(
  "proxy_next_upstream.t 'request 500', 'request 500 second'",
  'a status that the configuration names is tried at another target',
  async (t) => {
    const { port, asked } = await over(t, [status(500), status(200, 'see this')], { on: [500] }, { maxFails: 0 })

    for (let i = 0; i < 2; i++) assert.equal((await send(port)).body.toString(), 'see this')

    assert.deepEqual(asked(), [2, 2])
  }
)

conforms(
  "proxy_next_upstream.t 'down after 500'",
  'a target that answered with such a status is left out for a while',
  async (t) => {
    const answers = [status(500), status(200, 'see this')]
    const { port, asked } = await over(t, answers, { on: [500] }, { maxFails: 1 })

    for (let i = 0; i < 5; i++) assert.equal((await send(port)).body.toString(), 'see this')

    assert.deepEqual(asked(), [1, 5])
  }
)

conforms("proxy_next_upstream.t 'not down'", 'a 404 puts no target out of service', async (t) => {
  const { port, asked } = await over(t, [status(404), status(404)], {}, { maxFails: 1 })

  for (let i = 0; i < 4; i++) assert.equal((await send(port)).status, 404)

  assert.deepEqual(asked(), [2, 2])
})

differs(
  "proxy_next_upstream.t 'proxy request', 'second request' (http_404)",
  'a 404 cannot be tried at another target',
  '`retry.on` takes 429 and 5xx; a 404 says something about the resource, not about the target',
  async (t) => {
    await assert.rejects(over(t, [status(404)], { on: [404] }), InvalidConfigError)
  }
)

conforms(
  "proxy_next_upstream.t 'all tried once'",
  'every target is tried once, and the response of the last one passes',
  async (t) => {
    const { port, asked } = await over(t, [status(503, 'one'), status(503, 'two')], { attempts: 9 })

    const reply = await send(port)

    assert.deepEqual([reply.status, reply.body.toString()], [503, 'two'])
    assert.deepEqual(asked(), [1, 1])
  }
)

conforms(
  "proxy_next_upstream.t 'all tried with down'",
  'a target marked as down does not count: the response of the others passes',
  async (t) => {
    const [up, down] = [await startRecordingTarget(t, status(503)), await startRecordingTarget(t)]
    const gateway = await startGateway(t, [up.url, { url: down.url, down: true }])

    assert.equal((await send(gateway.port)).body.toString(), '503')
    assert.deepEqual([up.requests.length, down.requests.length], [1, 0])
  }
)

conformsEach(
  "proxy_next_upstream_tries.t 'tries', 'tries backup'",
  'no more targets are tried than retry.attempts allows, backups included',
  [false, true],
  (backup) => (backup ? 'with backups' : 'without backups'),
  async (t, backup) => {
    const targets: RecordingTarget[] = []
    for (let i = 0; i < 3; i++) targets.push(await startRecordingTarget(t, status(503)))
    const gateway = await startGateway(
      t,
      targets.map(({ url }, i) => ({ url, backup: backup && i > 0 })),
      { upstream: { retry: { ...NOW, attempts: 1 } } }
    )

    assert.equal((await send(gateway.port)).status, 503)
    assert.equal(targets.flatMap(({ requests }) => requests).length, 2)
  }
)

differs(
  "proxy_next_upstream_tries.t 'tries zero'",
  'retry.attempts: 0 means no second attempt',
  'a number of attempts is what it says; without a bound, an outage multiplies the load',
  async (t) => {
    const { port, asked } = await over(t, [status(503), status(503), status(503)], { attempts: 0 })

    assert.equal((await send(port)).status, 503)
    assert.deepEqual(asked(), [1, 0, 0])
  }
)

conforms("proxy_next_upstream_tries.t 'timeout zero'", 'without timeouts.total all targets are tried', async (t) => {
  const { port, asked } = await over(t, [status(503), status(503), status(503)], { attempts: 9 })

  assert.equal((await send(port)).status, 503)
  assert.deepEqual(asked(), [1, 1, 1])
})

differs(
  "proxy_next_upstream_tries.t 'timeout', 'timeout backup'",
  'timeouts.total ends the exchange, and not only the choice of further targets',
  'it is a promise to the client: what comes later than that is a 504',
  async (t) => {
    const slow: Answer = (socket) => setTimeout(() => socket.write(status(503)), 100)
    const targets: RecordingTarget[] = []
    for (let i = 0; i < 3; i++) targets.push(await startRecordingTarget(t, slow))
    const upstream = { retry: { ...NOW, attempts: 9 }, timeouts: { connect: 0, response: 0, idle: 0, total: 160 } }
    const urls = targets.map(({ url }) => url)
    const gateway = await startGateway(t, urls, { upstream })

    assertError(await send(gateway.port), 504, 'FST_GATEWAY_TOTAL_TIMEOUT')
    assert.ok(targets.flatMap(({ requests }) => requests).length <= 2)
  }
)

conforms("proxy_non_idempotent.t 'get', 'post'", 'a POST that has been sent goes to no other target', async (t) => {
  const { port, asked } = await over(t, [hangUp, hangUp], {}, { maxFails: 0 })

  assert.equal((await send(port)).status, 502)
  assert.deepEqual(asked(), [1, 1])

  assert.equal((await send(port, { method: 'POST' })).status, 502)
  assert.deepEqual(asked(), [2, 1])
})

conforms(
  "proxy_non_idempotent.t 'get 404', 'post 404'",
  'a status that is tried again passes as it is where the request is a POST',
  async (t) => {
    const { port, asked } = await over(t, [status(503, 'see this'), status(503, 'see this')], {}, { maxFails: 0 })

    assert.equal((await send(port)).body.toString(), 'see this')
    assert.deepEqual(asked(), [1, 1])

    const reply = await send(port, { method: 'POST' }, 'x')
    assert.deepEqual([reply.status, reply.body.toString()], [503, 'see this'])
    assert.deepEqual(asked(), [2, 1])
  }
)

conforms(
  "proxy_non_idempotent.t 'get non_idempotent', 'post non_idempotent'",
  'a POST with an Idempotency-Key is tried again where the route says so',
  async (t) => {
    const targets = [await startRecordingTarget(t, hangUp), await startRecordingTarget(t)]
    const gateway = await startGateway(
      t,
      targets.map(({ url }) => url),
      { route: { retry: { idempotencyKey: true } }, upstream: { retry: NOW } }
    )

    const reply = await send(gateway.port, { method: 'POST', headers: { 'idempotency-key': '7' } }, 'once')

    assert.equal(reply.body.toString(), 'ok')
    assert.deepEqual(
      targets.flatMap(({ requests }) => requests.map(unframed)),
      ['once', 'once']
    )
  }
)

conforms(
  "proxy_non_idempotent.t 'keepalive', 'keepalive post'",
  'the same holds on a connection that was kept',
  async (t) => {
    const answers = byPath({ '/establish': 'HTTP/1.1 204 No Content\r\n\r\n', '/drop': hangUp })
    const { port, asked, idle, targets } = await over(t, [answers, answers], {}, { maxFails: 0 })
    assert.equal((await send(port, { path: '/establish' })).status, 204)
    assert.equal((await send(port, { path: '/establish' })).status, 204)
    await idle()

    const reply = await send(port, { method: 'POST', path: '/drop' })

    assert.equal(reply.status, 502)
    assert.deepEqual(asked(), [2, 1])
    assert.deepEqual(
      targets.map(({ requests }) => requests.at(-1)?.connection),
      [0, 0]
    )
  }
)

conformsEach(
  "body.t 'body next upstream'; body_chunked.t 'body chunked next upstream'",
  'the next target gets the whole body',
  [{ 'content-length': '10' }, { 'transfer-encoding': 'chunked' }],
  (headers) => Object.keys(headers).join(),
  async (t, headers) => {
    const { port, targets } = await over(t, [hangUp, status(200, 'see this')], {})

    const reply = await send(port, { method: 'PUT', headers: { ...headers } }, '0123456789')

    assert.equal(reply.body.toString(), 'see this')
    assert.deepEqual(
      targets.map(({ requests }) => requests.map(unframed)),
      [['0123456789'], ['0123456789']]
    )
  }
)
