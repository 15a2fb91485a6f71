import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import { accessLog, type Layer, type LayerPair } from '../plugins/middleware/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { eventually, RawClient } from './forwarding-helper.ts'
import { portOf } from './helper.ts'
import { asking, echo, RawTarget, refusal, startWebSocketTarget, switchTo, WebSocketClient } from './upgrade-helper.ts'

type Line = Record<string, unknown>

interface Started {
  app: FastifyInstance
  port: number
  /** What was logged. */
  lines: Line[]
  inFlight: () => number | undefined
}

/** A gateway with layers in front of one target. */
async function start(
  t: TestContext,
  url: string,
  layers: readonly Layer[],
  prepare = (_app: FastifyInstance) => {}
): Promise<Started> {
  const lines: Line[] = []
  const stream = { write: (text: string) => lines.push(JSON.parse(text)) }
  const app = Fastify({ logger: { level: 'info', stream } })
  t.after(() => app.close())
  prepare(app)
  await app.register(proxy, {
    upstreams: { users: { targets: [url] } },
    routes: [{ id: 'all', upstream: 'users' }],
    layers
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: portOf(app.server), lines, inFlight: () => app.balancers.get('users').targets[0]?.inFlight }
}

test('a layer refuses an upgrade before any target has heard of it', async (t) => {
  const target = await RawTarget.start(t)
  const auth: Layer = {
    name: 'auth',
    onRequest: ({ request, reply }) =>
      request.headers.authorization === undefined
        ? reply.code(401).header('www-authenticate', 'Bearer').send('who?')
        : undefined
  }
  const { port } = await start(t, target.url, [auth])
  const client = new RawClient(t, port)

  client.write(asking())
  const text = await client.end()

  assert.match(text, /^HTTP\/1\.1 401 Unauthorized\r\n[\s\S]*www-authenticate: Bearer[\s\S]*\r\n\r\nwho\?$/)
  assert.equal(target.text, '')
})

for (const hook of ['onRequest', 'preHandler'] as const) {
  test(`the app refuses an upgrade in a hook, ${hook}`, async (t) => {
    const target = await RawTarget.start(t)
    const { port } = await start(t, target.url, [], (app) => {
      app.addHook(hook, async (_request, reply) => reply.code(403).send('not you'))
    })

    const { status, body } = await refusal(new WebSocketClient(t, port).socket)

    assert.deepEqual([status, body, target.text], [403, 'not you', ''])
  })
}

test('layers see the 101 as the response, and add their headers', async (t) => {
  const { url } = await startWebSocketTarget(t, echo)
  const seen: unknown[] = []
  const { port } = await start(t, url, [
    async ({ reply }, next) => {
      await next()
      seen.push('function', reply.statusCode, reply.getHeader('upgrade'))
      reply.header('x-function', 'yes')
    },
    {
      name: 'pair',
      onSend({ reply }, payload) {
        seen.push('pair', reply.statusCode, payload, typeof reply.getHeader('sec-websocket-accept'))
        reply.header('x-pair', 'yes')
      }
    }
  ])
  const client = new WebSocketClient(t, port)

  const [{ headers, statusCode }] = await once(client.socket, 'upgrade')
  client.socket.send('hello')

  assert.deepEqual(seen, ['pair', 101, null, 'string', 'function', 101, undefined])
  assert.deepEqual([statusCode, headers['x-function'], headers['x-pair']], [101, 'yes', 'yes'])
  assert.equal(await client.next(), 'hello')
})

test('headers that a hook has set before go out with the 101', async (t) => {
  const { url } = await startWebSocketTarget(t, echo)
  const { port } = await start(t, url, [], (app) => {
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('x-hook', 'yes')
    })
    app.addHook('onSend', async () => 'another body')
  })

  const [{ headers }] = await once(new WebSocketClient(t, port).socket, 'upgrade')

  assert.equal(headers['x-hook'], 'yes')
})

const late: { what: string; layer: LayerPair; status: number; body: RegExp }[] = [
  {
    what: 'throws',
    layer: {
      name: 'late',
      onSend({ reply }) {
        if (reply.statusCode === 101) throw Object.assign(new Error('not like this'), { statusCode: 418 })
      }
    },
    status: 418,
    body: /not like this/
  },
  {
    what: 'sets another status',
    layer: {
      name: 'late',
      onSend({ reply }) {
        reply.code(403)
        return 'after all not'
      }
    },
    status: 403,
    body: /^after all not$/
  }
]

for (const { what, layer, status, body } of late) {
  test(`a layer that ${what} in its response half refuses after all`, async (t) => {
    const target = await RawTarget.start(t)
    const { port, inFlight } = await start(t, target.url, [layer])
    const client = new RawClient(t, port)

    client.write(asking())
    const text = await client.end()

    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.match(text.slice(text.indexOf('\r\n\r\n') + 4), body)
    assert.doesNotMatch(text, /upgrade: foo/i)
    await eventually(() => target.ends === 1 && inFlight() === 0, 'the target keeps its connection')
  })
}

test('a client that leaves while a layer sees the 101 takes the target with it', async (t) => {
  const target = await RawTarget.start(t)
  let reached = false
  const { port, inFlight } = await start(t, target.url, [
    async (_exchange, next) => {
      await next()
      reached = true
      await new Promise(() => {})
    }
  ])
  const client = new RawClient(t, port)

  client.write(asking())
  await eventually(() => reached, 'the layer does not see the 101')
  client.socket.resetAndDestroy()

  await eventually(() => inFlight() === 0, 'the target keeps its place')
})

test('the exchange ends with the tunnel: bytes both ways, one line in the access log', async (t) => {
  const ended: unknown[] = []
  const target = await RawTarget.start(t)
  const { port, lines, inFlight } = await start(t, target.url, [
    accessLog(),
    {
      name: 'end',
      onResponse: ({ bytes, receivedBytes, error, targetTime }) =>
        ended.push([bytes, receivedBytes, error, targetTime > 0])
    }
  ])
  const client = await switchTo(t, port)

  client.write('12345')
  await target.until('12345')
  target.latest?.write('1234567')
  await client.until('1234567')
  const before = [...ended]
  target.latest?.end('89')
  await client.end()
  await eventually(() => ended.length === 1, 'the layer does not hear of the end')

  assert.deepEqual([before, ended], [[], [[9, 5, undefined, true]]])
  const [line = {}, ...more] = lines.filter(({ msg }) => msg === 'exchange ended')
  const { status, bytes, receivedBytes, route, attempts, error } = line
  assert.deepEqual(
    { status, bytes, receivedBytes, route, attempts, error, more },
    {
      status: 101,
      bytes: 9,
      receivedBytes: 5,
      route: 'all',
      attempts: 1,
      error: undefined,
      more: []
    }
  )
  assert.equal(inFlight(), 0)
})

for (const { who, code, break: cut } of [
  {
    who: 'client',
    code: 'FST_GATEWAY_CLIENT_CLOSED',
    break: (client: RawClient, _target: RawTarget) => client.socket.resetAndDestroy()
  },
  {
    who: 'target',
    code: 'FST_GATEWAY_TARGET_CLOSED',
    break: (_client: RawClient, target: RawTarget) => target.latest?.resetAndDestroy()
  }
]) {
  test(`the access log tells that the ${who} broke the tunnel off`, async (t) => {
    const target = await RawTarget.start(t)
    const { port, lines } = await start(t, target.url, [accessLog()])
    const client = await switchTo(t, port)

    cut(client, target)
    const ended = () => lines.find(({ msg }) => msg === 'exchange ended')
    await eventually(() => ended() !== undefined, 'no line is logged')

    assert.deepEqual([ended()?.status, ended()?.error], [101, code])
  })
}

test('onResponse hooks of the app run once, when the target has sent its last byte', async (t) => {
  const statuses: number[] = []
  const target = await RawTarget.start(t)
  const { port, app } = await start(t, target.url, [], (app) => {
    app.addHook('onResponse', async (_request, reply) => statuses.push(reply.statusCode))
  })
  const client = await switchTo(t, port)

  target.latest?.write('some')
  await client.until('some')
  const before = [...statuses]
  target.latest?.end()
  await client.end()
  await eventually(() => statuses.length > 0, 'the hook does not run')
  await app.close()

  assert.deepEqual([before, statuses], [[], [101]])
})
