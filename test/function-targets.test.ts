import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { z } from 'zod'
import gateway from '../app.ts'
import { InvalidTargetError } from '../plugins/errors.ts'
import events, { defineEventHandler } from '../plugins/events/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { deferred } from './events-helper.ts'
import { assertError, eventually, foreignHook, send, startGateway } from './forwarding-helper.ts'
import { freePort, portOf, startTarget } from './helper.ts'
import { createApp, startNamed } from './plugin-helper.ts'

const greet = defineEventHandler(
  { input: z.object({ key: z.string() }), output: z.string() },
  ({ key }) => `hello, ${key}!`
)
const page = defineEventHandler({ mode: 'http' }, (event) => ({
  statusCode: 200,
  headers: { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] },
  body: JSON.stringify(event)
}))
const route = (upstream: string) => [{ id: 'all', match: { path: '/*' }, upstream }]

for (const hooked of [false, true]) {
  test(`a route is served by a function, ${hooked ? 'with' : 'without'} an onSend hook`, async (t) => {
    const app = createApp(t)
    if (hooked) foreignHook(app)
    const upstreams = { f: { targets: ['function:greet'] }, p: { targets: ['function:page'] } }
    const routes = [
      { match: { path: '/greet' }, upstream: 'f' },
      { match: { path: '/page/*' }, upstream: 'p', rewrite: { prefix: '/v1' } }
    ]
    await app.register(proxy, { functions: { greet, page }, upstreams, routes })

    const greeting = await app.inject({ method: 'POST', url: '/greet', payload: { key: 'value' } })
    const refused = await app.inject({ method: 'POST', url: '/greet', payload: { key: 1 } })
    const get = await app.inject({ url: '/page/a%2Fb?x=1&x=2', remoteAddress: '203.0.113.9' })
    const head = await app.inject({ method: 'HEAD', url: '/page/a' })

    assert.deepEqual([greeting.statusCode, greeting.body], [200, '"hello, value!"'])
    assert.deepEqual([refused.statusCode, refused.json().errorType], [400, 'ValidationError'])
    const event = get.json()
    assert.equal(event.rawPath, '/v1/a%2Fb')
    assert.equal(event.rawQueryString, 'x=1&x=2')
    assert.equal(event.requestContext.http.sourceIp, '203.0.113.9')
    assert.deepEqual(get.headers['set-cookie'], ['a=1', 'b=2'])
    assert.deepEqual([head.statusCode, head.body], [200, ''])
  })
}

test('an upstream balances among a function, an app, and a socket', async (t) => {
  const inner = Fastify()
  t.after(() => inner.close())
  inner.get('/x', async (_request, reply) => reply.type('text/plain').send('app /x'))
  const app = createApp(t)
  const echo = defineEventHandler({ mode: 'http' }, ({ rawPath }) => ({ statusCode: 200, body: `function ${rawPath}` }))
  await app.register(proxy, {
    functions: { echo },
    apps: { inner },
    upstreams: { all: { targets: ['function:echo', 'app:inner', await startNamed(t, 'socket')] } },
    routes: route('all')
  })

  const bodies = []
  for (let i = 0; i < 6; i++) bodies.push((await app.inject('/x')).body)

  const turn = ['function /x', 'app /x', 'socket /x']
  assert.deepEqual(bodies, [...turn, ...turn])
  assert.deepEqual(
    app.balancers.get('all').targets.map(({ inFlight }) => inFlight),
    [0, 0, 0]
  )
})

test('a request that a dead target refuses is served by the function', async (t) => {
  const app = createApp(t)
  const dead = `http://127.0.0.1:${await freePort()}`
  await app.register(proxy, {
    functions: { greet },
    upstreams: { all: { targets: [dead, 'function:greet'] } },
    routes: route('all')
  })

  const answer = await app.inject({ method: 'POST', url: '/', payload: { key: 'v' } })

  assert.equal(answer.body, '"hello, v!"')
  assert.deepEqual(
    app.balancers.get('all').targets.map(({ fails }) => fails),
    [1, 0]
  )
})

test('a function that answers 503 is followed by the next target, with the body again', async (t) => {
  const bodies: string[] = []
  const { url } = await startTarget(t, (request, response) => {
    request.on('data', (chunk) => bodies.push(String(chunk)))
    request.on('end', () => response.end('target'))
  })
  const busy = defineEventHandler(() => {
    throw Object.assign(new Error('busy'), { statusCode: 503 })
  })
  const app = createApp(t)
  await app.register(proxy, {
    functions: { busy },
    upstreams: { all: { targets: ['function:busy', url] } },
    routes: route('all')
  })

  const put = await app.inject({ method: 'PUT', url: '/', payload: 'text' })

  assert.equal(put.body, 'target')
  assert.deepEqual(bodies, ['text'])
})

test('a function that does not return is a 504 by timeouts.response, and its signal is aborted', async (t) => {
  const aborted = deferred()
  const slow = defineEventHandler((_event, { signal }) => {
    signal.addEventListener('abort', () => aborted.resolve())
    return new Promise(() => {})
  })
  const gateway = await startGateway(t, ['function:slow'], {
    upstream: { timeouts: { response: 50 }, retry: { attempts: 0 } },
    functions: { slow }
  })

  const reply = await send(gateway.port, { path: '/' })

  assertError(reply, 504, 'FST_GATEWAY_RESPONSE_TIMEOUT')
  await aborted.promise
  await gateway.idle()
})

test('the signal is aborted when the client leaves', async (t) => {
  const begun = deferred()
  const aborted = deferred()
  const slow = defineEventHandler((_event, { signal }) => {
    signal.addEventListener('abort', () => aborted.resolve())
    begun.resolve()
    return new Promise(() => {})
  })
  const gateway = await startGateway(t, ['function:slow'], { functions: { slow } })
  const socket = connect({ host: '127.0.0.1', port: gateway.port })
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await begun.promise

  socket.destroy()

  await aborted.promise
  await gateway.idle()
})

test('a body that is larger than functions take is a 413', async (t) => {
  const gateway = await startGateway(t, ['function:greet'], { functions: { greet }, eventLimit: '1kb' })

  const reply = await send(gateway.port, { method: 'POST', path: '/' }, Buffer.alloc(2_000))

  assert.equal(reply.status, 413)
  assert.equal(JSON.parse(reply.body.toString()).errorType, 'EventTooLarge')
  await gateway.idle()
})

test('a protocol that a function cannot switch to is a 501, and not its fault', async (t) => {
  const gateway = await startGateway(t, ['function:greet'], { functions: { greet }, route: { upgrade: true } })

  const headers = { connection: 'upgrade', upgrade: 'websocket' }
  const reply = await send(gateway.port, { path: '/', headers })

  assertError(reply, 501, 'FST_GATEWAY_UPGRADE_UNSUPPORTED')
  assert.equal(gateway.app.balancers.get('users').targets[0]?.fails, 0)
})

const missing = [
  {
    url: 'function:nobody',
    reason: /'function:nobody' is invalid: no event function has that name, known are: greet$/
  },
  { url: 'app:nobody', reason: /'app:nobody' is invalid: no app has that name, known are: none$/ }
]
for (const { url, reason } of missing) {
  test(`the target ${url}, which is not there, stops the start`, async (t) => {
    const app = createApp(t)
    app.register(proxy, { functions: { greet }, upstreams: { all: { targets: [url] } }, routes: route('all') })

    await assert.rejects(
      async () => app.ready(),
      (error) => error instanceof InvalidTargetError && reason.test(error.message)
    )
  })

  test(`the target ${url}, added at run time, is one that cannot be reached`, async (t) => {
    const gateway = await startGateway(t, [], { functions: { greet } })
    gateway.app.balancers.get('users').add(url)

    const reply = await send(gateway.port, { path: '/' })

    assertError(reply, 502, 'FST_GATEWAY_CONNECT_FAILED')
    await gateway.idle()
  })
}

test('an app is spoken to as over a socket: chunks as they come, repeated headers, trailers, no address of its own', async (t) => {
  const gate = deferred()
  const inner = Fastify()
  t.after(() => inner.close())
  inner.post('/stream', async (request, reply) => {
    const { raw } = reply.hijack()
    raw.writeHead(200, { trailer: 'x-sum' })
    raw.write(`${request.headers['x-list']} ${request.ip} ${JSON.stringify(request.body)} `)
    await gate.promise
    raw.addTrailers({ 'x-sum': '42' })
    raw.end('end')
  })
  const gateway = await startGateway(t, ['app:inner'], { apps: { inner } })

  const reply = send(
    gateway.port,
    {
      method: 'POST',
      path: '/stream',
      headers: { 'x-list': ['1', '2'], 'content-type': 'application/json', te: 'trailers', connection: 'te' }
    },
    '{"a":1}'
  )
  await eventually(() => gateway.app.balancers.get('users').targets[0]?.inFlight === 1, 'not begun')
  gate.resolve()
  const { status, body, trailers } = await reply

  assert.equal(status, 200)
  assert.equal(body.toString(), '1, 2 undefined {"a":1} end')
  assert.deepEqual(trailers, ['x-sum', '42'])
  await gateway.idle()
})

test('a large body passes through an app both ways, byte for byte', async (t) => {
  const inner = Fastify()
  t.after(() => inner.close())
  inner.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  inner.post('/echo', async ({ body }, reply) => reply.type('application/octet-stream').send(body))
  const gateway = await startGateway(t, ['app:inner'], { apps: { inner } })
  const sent = Buffer.alloc(3 * 1024 * 1024, 'abcdefg')

  const reply = await send(
    gateway.port,
    { method: 'POST', path: '/echo', headers: { 'content-type': 'image/png' } },
    sent
  )

  assert.ok(reply.body.equals(sent))
})

test('an app that cuts its answer has the connection of the client cut', async (t) => {
  const inner = Fastify()
  t.after(() => inner.close())
  inner.get('/cut', async (_request, reply) => {
    const { raw } = reply.hijack()
    raw.writeHead(200, { 'content-length': 100 })
    raw.write('some')
    setImmediate(() => raw.destroy())
  })
  const gateway = await startGateway(t, ['app:inner'], { apps: { inner } })

  const reply = await send(gateway.port, { path: '/cut' })

  assert.equal(reply.complete, false)
  await gateway.idle()
})

test('an app learns when the client leaves', async (t) => {
  const begun = deferred()
  const left = deferred()
  const inner = Fastify()
  t.after(() => inner.close())
  inner.get('/wait', (_request, reply) => {
    reply.raw.on('close', () => left.resolve())
    begun.resolve()
  })
  const gateway = await startGateway(t, ['app:inner'], { apps: { inner } })
  const socket = connect({ host: '127.0.0.1', port: portOf(gateway.app.server) })
  socket.write('GET /wait HTTP/1.1\r\nHost: x\r\n\r\n')
  await begun.promise

  socket.destroy()

  await left.promise
  await gateway.idle()
})

test('a function that throws is a target that has answered 500, and not one that cannot be reached', async (t) => {
  const broken = defineEventHandler(() => {
    throw new Error('secret')
  })
  const gateway = await startGateway(t, ['function:broken'], { functions: { broken } })

  const reply = await send(gateway.port, { path: '/' })

  assert.equal(reply.status, 500)
  assert.deepEqual(JSON.parse(reply.body.toString()), {
    errorMessage: 'The function failed',
    errorType: 'InternalError'
  })
  assert.equal(gateway.app.balancers.get('users').targets[0]?.fails, 0)
  await gateway.idle()
})

for (const [what, policy] of [
  ['ejected', { health: { passive: { enabled: true, consecutiveFailures: 3 } } }],
  ['put out of use by its circuit breaker', { circuitBreaker: { target: { enabled: true, consecutiveFailures: 3 } } }]
] as const) {
  test(`a function that throws again and again is ${what}`, async (t) => {
    let calls = 0
    const broken = defineEventHandler(() => {
      calls++
      throw new Error('always')
    })
    const whole = defineEventHandler({ mode: 'http' }, () => ({ statusCode: 200, body: 'whole' }))
    const app = createApp(t)
    await app.register(events, { functions: { broken, whole }, path: false })
    await app.register(gateway, {
      upstreams: { f: { targets: ['function:broken', 'function:whole'], ...policy } },
      routes: route('f')
    })

    const statuses = []
    for (let i = 0; i < 12; i++) statuses.push((await app.inject('/')).statusCode)

    assert.equal(calls, 3)
    assert.deepEqual(statuses.slice(6), [200, 200, 200, 200, 200, 200])
  })
}

test('active checks leave a function alone, and it is used', async (t) => {
  const active = { type: 'tcp' as const, interval: 20, timeout: 10, required: true }
  const gateway = await startGateway(t, ['function:greet'], { upstream: { health: { active } }, functions: { greet } })

  const headers = { 'content-type': 'application/json' }
  const reply = await send(gateway.port, { method: 'POST', path: '/', headers }, '{"key":"v"}')

  assert.equal(reply.body.toString(), '"hello, v!"')
})

test('a function that is slow is overtaken by a second attempt, and its signal is aborted', async (t) => {
  let isHolding = false
  const overtaken = deferred()
  const once = defineEventHandler((_event, { signal }) => {
    if (!isHolding) return 'quick'
    isHolding = false
    signal.addEventListener('abort', () => overtaken.resolve())
    return new Promise(() => {})
  })
  const same = defineEventHandler((event, context) => once.handle(event, context))
  const gateway = await startGateway(t, ['function:once', 'function:same'], {
    upstream: { strategy: 'round-robin', hedge: { enabled: true } },
    functions: { once, same }
  })
  for (let i = 0; i < 30; i++) await send(gateway.port)
  isHolding = true

  const reply = await send(gateway.port)

  assert.equal(reply.body.toString(), 'quick')
  await overtaken.promise
  await gateway.idle()
})

test('a function can be the mirror of a target', async (t) => {
  const { url } = await startTarget(t, (_request, response) => response.end('primary'))
  const copied = deferred<string>()
  const shadow = defineEventHandler({ mode: 'http' }, ({ rawPath, body }) => {
    copied.resolve(`${rawPath} ${body}`)
    return { statusCode: 500 }
  })
  const gateway = await startGateway(t, [url], {
    more: { shadow: { targets: ['function:shadow'] } },
    route: { mirror: [{ upstream: 'shadow' }] },
    functions: { shadow }
  })

  const headers = { 'content-type': 'text/plain' }
  const reply = await send(gateway.port, { method: 'POST', path: '/a', headers }, 'text')

  assert.deepEqual([reply.status, reply.body.toString()], [200, 'primary'])
  assert.equal(await copied.promise, '/a text')
})
