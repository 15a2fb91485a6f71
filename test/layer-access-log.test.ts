import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import { TargetClosedError } from '../plugins/errors.ts'
import middleware, { type AccessLogOptions, accessLog, type Layer, requestId } from '../plugins/middleware/index.ts'
import { portOf } from './helper.ts'

type Line = Record<string, unknown>

interface Logged {
  app: FastifyInstance
  /** The next line that the layer logs. */
  line: () => Promise<Line>
}

async function start(t: TestContext, options?: AccessLogOptions, layers: readonly Layer[] = []): Promise<Logged> {
  const lines: Line[] = []
  let wake = () => {}
  const write = (text: string) => {
    const line = JSON.parse(text)
    if (line.msg !== 'exchange ended') return
    lines.push(line)
    wake()
  }
  const app = Fastify({ forceCloseConnections: true, logger: { level: 'trace', stream: { write } } })
  t.after(() => app.close())
  await app.register(middleware, { layers: [accessLog(options), ...layers] })
  return {
    app,
    async line() {
      while (lines.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return lines.shift() ?? {}
    }
  }
}

test('one line tells what became of the exchange', async (t) => {
  const { app, line } = await start(t, undefined, [requestId()])
  app.get('/users/:id', async ({ exchange }) => {
    if (exchange === null) return
    exchange.upstream = 'users'
    exchange.target = 'http://127.0.0.1:3001'
    exchange.attempts = 2
    return 'hello'
  })

  await app.inject({ url: '/users/7?full=1', headers: { 'x-request-id': 'mine' } })
  const logged = await line()

  const { level, route, upstream, target, method, url, status, bytes, attempts, requestId: id } = logged
  assert.deepEqual(
    { level, route, upstream, target, method, url, status, bytes, attempts, id },
    {
      level: 30,
      route: '/users/:id',
      upstream: 'users',
      target: 'http://127.0.0.1:3001',
      method: 'GET',
      url: '/users/7?full=1',
      status: 200,
      bytes: 5,
      attempts: 2,
      id: 'mine'
    }
  )
  assert.equal('error' in logged, false)
})

test('the time is split into that of the target and that of the gateway', async (t) => {
  const { app, line } = await start(t)
  t.mock.method(performance, 'now', () => clock)
  let clock = 1000
  app.get('/', async ({ exchange }) => {
    clock += 12.3456789
    if (exchange !== null) exchange.targetTime = 10
    return 'hello'
  })

  await app.inject('/')
  const { totalTime, targetTime, gatewayTime } = await line()

  assert.deepEqual({ totalTime, targetTime, gatewayTime }, { totalTime: 12.346, targetTime: 10, gatewayTime: 2.346 })
})

test('bytes counted on their way count more than the length that was announced', async (t) => {
  const { app, line } = await start(t)
  app.get('/', async ({ exchange }) => {
    if (exchange !== null) exchange.bytes = 3
    return 'hello'
  })

  await app.inject('/')

  assert.equal((await line()).bytes, 3)
})

for (const { method, status } of [
  { method: 'HEAD', status: 200 },
  { method: 'GET', status: 304 }
] as const) {
  test(`an answer without a body has no bytes: ${method} ${status}`, async (t) => {
    const { app, line } = await start(t)
    app.get('/', async (_request, reply) => reply.code(status).header('content-length', '5').send())

    await app.inject({ method, url: '/' })
    const logged = await line()

    assert.equal(logged.status, status)
    assert.equal(logged.bytes, 0)
  })
}

test('a client that leaves before the answer is complete is a 499', async (t) => {
  const { app, line } = await start(t)
  app.get('/', () => {
    socket.destroy()
  })
  await app.listen({ port: 0, host: '127.0.0.1' })

  const socket = connect(portOf(app.server), '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nhost: gateway\r\n\r\n')
  const logged = await line()

  assert.equal(logged.status, 499)
  assert.equal(logged.error, 'FST_GATEWAY_CLIENT_CLOSED')
  assert.equal(logged.bytes, 0)
})

test('an answer that the gateway cuts keeps its status and tells the error', async (t) => {
  const { app, line } = await start(t)
  app.get('/', ({ exchange }, reply) => {
    const source = new PassThrough()
    reply.send(source)
    source.write('part')
    socket.once('data', () => {
      if (exchange !== null) exchange.error = new TargetClosedError()
      source.destroy(new Error('target reset'))
    })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })

  const socket = connect(portOf(app.server), '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: gateway\r\n\r\n')
  const logged = await line()

  assert.equal(logged.status, 200)
  assert.equal(logged.error, 'FST_GATEWAY_TARGET_CLOSED')
})

test('an error without a code is told by its name', async (t) => {
  const thrower: Layer = {
    name: 'thrower',
    onRequest() {
      throw new TypeError('boom')
    }
  }
  const { app, line } = await start(t, undefined, [thrower])
  app.get('/', async () => 'never')

  await app.inject('/')
  const logged = await line()

  assert.equal(logged.status, 500)
  assert.equal(logged.error, 'TypeError')
})

test('the level is that of the options', async (t) => {
  const { app, line } = await start(t, { level: 'debug' })
  app.get('/', async () => 'hello')

  await app.inject('/')

  assert.equal((await line()).level, 20)
})

test('an unknown level is refused', () => {
  // @ts-expect-error Not a level.
  assert.throws(() => accessLog({ level: 'loud' }), { code: 'FST_GATEWAY_INVALID_MIDDLEWARE' })
})

test('the docs list the fields of the line, in order', async (t) => {
  const { app, line } = await start(t, undefined, [requestId()])
  app.get('/', async ({ exchange }) => {
    if (exchange === null) return
    exchange.upstream = 'users'
    exchange.target = 'http://127.0.0.1:3001'
    exchange.error = new TargetClosedError()
    return 'hello'
  })

  await app.inject('/')
  const logged = await line()

  const docs = readFileSync('docs/middleware.md', 'utf8')
  const table = docs.slice(docs.indexOf('| field |'), docs.indexOf('\n\n', docs.indexOf('| field |')))
  const fields = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, field]) => field)
  const ours = Object.keys(logged).filter((key) => !['level', 'time', 'pid', 'hostname', 'reqId', 'msg'].includes(key))
  assert.deepEqual(fields, ours)
})
