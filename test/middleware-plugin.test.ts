import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify, { type FastifyRequest } from 'fastify'
import middleware, {
  chain,
  compose,
  Exchange,
  type Layer,
  MiddlewareRegistry,
  onionHooks,
  requestId
} from '../plugins/middleware/index.ts'

const append = (text: string): Layer => ({ name: text, onSend: (_exchange, payload) => `${payload}${text}` })

test('every Fastify route of the scope gets the layers, before and after the plugin, unknown ones too', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  app.get('/early', async () => 'early')
  await app.register(middleware, { layers: [append('!')] })
  app.get('/late', async () => 'late')

  const bodies = [(await app.inject('/early')).body, (await app.inject('/late')).body]
  const unknown = await app.inject('/unknown')

  assert.deepEqual(bodies, ['early!', 'late!'])
  assert.match(unknown.body, /Not Found.*!$/)
})

test('an app beside the scope gets no layers', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  app.register(async (scope) => {
    await scope.register(middleware, { layers: [append('!')] })
    scope.get('/inside', async () => 'inside')
  })
  app.get('/outside', async () => 'outside')

  const bodies = [(await app.inject('/inside')).body, (await app.inject('/outside')).body]

  assert.deepEqual(bodies, ['inside!', 'outside'])
})

test('two scopes may each have layers of their own', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  for (const name of ['a', 'b']) {
    app.register(async (scope) => {
      await scope.register(middleware, { layers: [append(name)] })
      scope.get(`/${name}`, async () => 'layer ')
    })
  }

  const bodies = [(await app.inject('/a')).body, (await app.inject('/b')).body]

  assert.deepEqual(bodies, ['layer a', 'layer b'])
})

test('the onSend hooks of the app run in their own order around the response halves', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  app.addHook('onSend', async (_request, _reply, payload) => `${payload}, hook before`)
  await app.register(middleware, { layers: [append(', outer'), append(', inner')] })
  app.addHook('onSend', async (_request, _reply, payload) => `${payload}, hook after`)
  app.get('/', async () => 'body')

  const response = await app.inject('/')

  assert.equal(response.body, 'body, hook before, inner, outer, hook after')
})

test('arrays, compose and chains behave alike', async (t) => {
  const layers = [append('1'), append('2'), append('3')] as const
  const forms = [
    layers,
    [compose(layers)],
    [chain().use(layers[0]).use(layers[1]).use(layers[2])],
    [chain().use([layers[0], layers[1]]), layers[2]]
  ]

  const bodies = await Promise.all(
    forms.map(async (layers) => {
      const app = Fastify()
      t.after(() => app.close())
      await app.register(middleware, { layers })
      app.get('/', async () => '')
      return (await app.inject('/')).body
    })
  )

  assert.deepEqual(bodies, Array(4).fill('321'))
})

test('a chain that is ended by a handler answers as the innermost layer', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const onion = chain()
    .use(append('!'))
    .then(({ reply }) => {
      reply.send('from the handler')
    })
  await app.register(middleware)
  app.middleware.use(onion)
  app.get('/', async () => 'never')

  const response = await app.inject('/')

  assert.equal(response.body, 'from the handler!')
})

test('layers can be given to single routes by their URL pattern', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware)
  app.middleware.use(append('!'), { routes: ['/users/:id'] })
  app.get('/users/:id', async () => 'user')
  app.get('/orders/:id', async () => 'order')

  const bodies = [
    (await app.inject('/users/7')).body,
    (await app.inject('/orders/7')).body,
    (await app.inject('/users/8')).body
  ]

  assert.deepEqual(bodies, ['user!', 'order', 'user!'])
})

test('the exchange is on the request where layers run, with the pattern of the route, and null elsewhere', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware)
  app.middleware.use(append(' '), { routes: ['/users/:id'] })
  const route = async ({ exchange }: FastifyRequest) => ({ route: exchange === null ? null : exchange.route })
  app.get('/users/:id', route)
  app.get('/', route)

  const routes = [(await app.inject('/users/7')).json(), (await app.inject('/')).json()]

  assert.deepEqual(routes, [{ route: '/users/:id' }, { route: null }])
})

test('without its hooks the plugin is only the registry', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware, { layers: [append('!')], hooks: false })
  app.get('/', async () => 'body')

  const response = await app.inject('/')

  assert.equal(response.body, 'body')
  assert.deepEqual(
    app.middleware.resolve(undefined)?.layers.map(({ name }) => name),
    ['!']
  )
})

test('the built-in layers are known by name, and not in use', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware)
  await app.ready()

  assert.deepEqual(app.middleware.names(), ['request-id', 'access-log'])
  assert.equal(app.middleware.resolve(undefined), undefined)
})

test('a built-in layer with options of its own can be used, and added under another name', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware)

  app.middleware.use(requestId({ header: 'x-trace' })).add({ ...requestId({ header: 'x-trace' }), name: 'trace' })

  assert.deepEqual(app.middleware.names(), ['request-id', 'access-log', 'trace'])
})

for (const method of ['use', 'add'] as const) {
  test(`${method}() fails when the app is ready`, async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await app.register(middleware)
    await app.ready()

    assert.throws(() => app.middleware[method]({ name: 'late', onSend() {} }), {
      code: 'FST_GATEWAY_INVALID_MIDDLEWARE',
      message: `Invalid middleware: ${method}() was called after the application was ready`
    })
  })
}

test('a layer in the options that is not one stops the boot', async () => {
  const app = Fastify()

  // @ts-expect-error A string is not a layer.
  const booted = app.register(middleware, { layers: ['request-id'] }).ready()

  await assert.rejects(async () => booted, { code: 'FST_GATEWAY_INVALID_MIDDLEWARE' })
})

test('the hooks can be installed for onions of the caller, who may bring the exchange', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const seen: (Exchange | null)[] = []
  const onion = new MiddlewareRegistry()
    .use({ name: 'see', onRequest: (exchange) => void seen.push(exchange) })
    .resolve('')
  const { onRequest, onSend } = onionHooks((request) => (request.url === '/layers' ? onion : undefined))
  app.decorateRequest('exchange', null)
  app.addHook('onRequest', onRequest)
  app.addHook('onSend', onSend)
  app.get('/layers', async ({ exchange }) => {
    seen.push(exchange)
    return 'with'
  })
  app.get('/none', async ({ exchange }) => {
    seen.push(exchange)
    return 'without'
  })

  const bodies = [(await app.inject('/layers')).body, (await app.inject('/none')).body]

  assert.deepEqual(bodies, ['with', 'without'])
  assert.equal(seen[0], seen[1])
  assert.equal(seen[2], null)
})

test('an onion can be entered and left by the caller, and leaves a body alone that did not enter', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const onion = new MiddlewareRegistry().use(append('!')).resolve('')
  assert.ok(onion)
  app.decorateRequest('exchange', null)
  app.addHook('onRequest', (request, reply, done) => {
    request.exchange = new Exchange(request, reply, 0)
    if (request.url === '/layers') onion.enter(request.exchange, done)
    else done()
  })
  app.addHook('onSend', ({ exchange }, _reply, payload, done) => {
    if (exchange !== null) onion.leave(exchange, payload, done)
  })
  app.get('/layers', async () => 'with')
  app.get('/none', async () => 'without')

  const bodies = [(await app.inject('/layers')).body, (await app.inject('/none')).body]

  assert.deepEqual(bodies, ['with!', 'without'])
})

test('an error before the onion was entered passes its onSend hook untouched', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  app.addHook('onRequest', async () => {
    throw new Error('boom')
  })
  await app.register(middleware, { layers: [append('!')] })
  app.get('/', async () => 'body')

  const response = await app.inject('/')

  assert.equal(response.statusCode, 500)
  assert.equal(response.json().message, 'boom')
})

test('a handler that takes too long is answered once, and layers still on their way in go no further', async (t) => {
  const trace: string[] = []
  const app = Fastify()
  t.after(() => app.close())
  const late = new Promise<void>((resolve) => {
    app.register(middleware, {
      layers: [
        append(' seen outside'),
        async ({ request }, next) => {
          await new Promise((resolve) => request.signal.addEventListener('abort', resolve, { once: true }))
          await null
          await next().catch((error) => trace.push(error.code))
          resolve()
        }
      ]
    })
  })
  app.get('/', { handlerTimeout: 1 }, async () => {
    trace.push('handler')
    return 'late'
  })

  const response = await app.inject('/')
  await late

  assert.equal(response.statusCode, 503)
  assert.match(response.body, /seen outside$/)
  assert.deepEqual(trace, ['FST_GATEWAY_NEXT_AFTER_ANSWER'])
})
