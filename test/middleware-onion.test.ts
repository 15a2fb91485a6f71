import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import middleware, {
  type Exchange,
  type Layer,
  type LayerFunction,
  type LayerPair
} from '../plugins/middleware/index.ts'

type Kind = 'async function' | 'function' | 'pair' | 'async pair'

const kinds: readonly Kind[] = ['async function', 'function', 'pair', 'async pair']

/** A layer that writes its name into the trace on the way in and on the way out. */
function tracer(kind: Kind, name: string, trace: string[]): Layer {
  const enter = () => trace.push(`${name} in`)
  const leave = () => trace.push(`${name} out`)
  if (kind === 'async function') {
    return async (_exchange, next) => {
      enter()
      await next()
      leave()
    }
  }
  if (kind === 'function') {
    return (_exchange, next) => {
      enter()
      return next().then(() => void leave())
    }
  }
  if (kind === 'pair') return { name, onRequest: () => void enter(), onSend: () => void leave() }
  return {
    name,
    async onRequest() {
      await null
      enter()
    },
    async onSend() {
      await null
      leave()
    }
  }
}

/** A layer that answers 403 instead of going on. */
function refuser(kind: Kind, trace: string[]): Layer {
  const refuse: LayerFunction = (exchange, _next) => {
    trace.push('refused')
    exchange.reply.code(403).send('refused')
  }
  if (kind === 'function') return refuse
  if (kind === 'async function') {
    return async (exchange, next) => {
      await null
      await refuse(exchange, next)
    }
  }
  return {
    name: 'refuser',
    onRequest(exchange) {
      const refused = () => void refuse(exchange, async () => {})
      return kind === 'pair' ? refused() : Promise.resolve().then(refused)
    },
    onSend: () => void trace.push('refuser out')
  }
}

async function start(t: TestContext, layers: readonly Layer[], trace: string[] = []): Promise<FastifyInstance> {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware, { layers })
  app.get('/', async () => {
    trace.push('handler')
    return 'hello'
  })
  return app
}

/** Something to wait for that a callback tells of. */
function signal(): { fire: () => void; fired: Promise<void> } {
  let fire = () => {}
  const fired = new Promise<void>((resolve) => {
    fire = resolve
  })
  return { fire: () => fire(), fired }
}

function boom(): never {
  throw new Error('boom')
}

for (const first of kinds) {
  for (const second of kinds) {
    test(`request halves run in order and response halves in reverse: ${first}, then ${second}`, async (t) => {
      const trace: string[] = []
      const app = await start(t, [tracer(first, '1', trace), tracer(second, '2', trace)], trace)

      const response = await app.inject('/')

      assert.equal(response.body, 'hello')
      assert.deepEqual(trace, ['1 in', '2 in', 'handler', '2 out', '1 out'])
    })
  }
}

for (const kind of kinds) {
  for (const depth of [0, 1, 2, 3]) {
    test(`only the layers outside see the early answer of a layer: ${kind} at depth ${depth}`, async (t) => {
      const trace: string[] = []
      const outside = kinds.slice(0, depth).map((outer, index) => tracer(outer, `${index}`, trace))
      const app = await start(t, [...outside, refuser(kind, trace), tracer('pair', 'inside', trace)], trace)

      const response = await app.inject('/')

      const indexes = [...outside.keys()]
      assert.equal(response.statusCode, 403)
      assert.equal(response.body, 'refused')
      assert.deepEqual(trace, [
        ...indexes.map((index) => `${index} in`),
        'refused',
        ...indexes.reverse().map((index) => `${index} out`)
      ])
    })
  }
}

test('a layer that returns the reply it has answered with ends the way in', async (t) => {
  const trace: string[] = []
  const pair: LayerPair = { name: 'refuser', onRequest: ({ reply }) => reply.code(403).send('refused') }
  const app = await start(t, [tracer('async function', '1', trace), pair], trace)

  const response = await app.inject('/')

  assert.equal(response.statusCode, 403)
  assert.deepEqual(trace, ['1 in', '1 out'])
})

test('a hook that returns the reply it has set headers on neither stalls the exchange nor changes the body', async (t) => {
  const pair: LayerPair = {
    name: 'headers',
    onRequest: ({ reply }) => reply.header('x-in', '1'),
    onSend: ({ reply }) => reply.header('x-out', '1')
  }
  const app = await start(t, [pair])

  const response = await app.inject('/')

  assert.equal(response.body, 'hello')
  assert.equal(response.headers['x-in'], '1')
  assert.equal(response.headers['x-out'], '1')
})

test('a response half sees status, headers and body and may change all of them', async (t) => {
  const app = await start(t, [
    async (exchange, next) => {
      await next()
      const { reply, payload } = exchange
      exchange.payload = `${reply.statusCode} ${reply.getHeader('content-type')} ${payload}`
      reply.code(201).header('x-layer', 'seen')
    }
  ])

  const response = await app.inject('/')

  assert.equal(response.statusCode, 201)
  assert.equal(response.headers['x-layer'], 'seen')
  assert.equal(response.body, '200 text/plain; charset=utf-8 hello')
})

test('an error on the way in rejects next() outside, and its layer may answer', async (t) => {
  const trace: string[] = []
  const app = await start(
    t,
    [
      tracer('pair', 'outer', trace),
      async (exchange, next) => {
        await next().catch((error: Error) => exchange.reply.code(418).send(error.message))
      },
      tracer('pair', 'between', trace),
      { name: 'thrower', onRequest: boom }
    ],
    trace
  )

  const response = await app.inject('/')

  assert.equal(response.statusCode, 418)
  assert.equal(response.body, 'boom')
  assert.deepEqual(trace, ['outer in', 'between in', 'outer out'])
})

const throwers: readonly { name: string; layer: Layer }[] = [
  { name: 'a pair', layer: { name: 'thrower', onRequest: boom } },
  { name: 'an async pair', layer: { name: 'thrower', onRequest: async () => boom() } },
  { name: 'a function', layer: (_exchange, _next) => boom() },
  { name: 'an async function', layer: async (_exchange, _next) => boom() },
  { name: 'a pair on the way out', layer: { name: 'thrower', onSend: boom } },
  { name: 'an async pair on the way out', layer: { name: 'thrower', onSend: async () => boom() } },
  { name: 'an async function on the way out', layer: async (_exchange, next) => next().then(boom) }
]

for (const { name, layer } of throwers) {
  test(`an error that no layer catches is a 500, and no layer runs twice for it: ${name}`, async (t) => {
    const trace: string[] = []
    const watch: LayerFunction = async (_exchange, next) => {
      try {
        await next()
        trace.push('resolved')
      } catch (error) {
        trace.push(`caught ${(error as Error).message}`)
        throw error
      } finally {
        trace.push('finally')
      }
    }
    const app = await start(t, [tracer('pair', 'outer', trace), watch, tracer('pair', 'between', trace), layer])

    const response = await app.inject('/')

    assert.equal(response.statusCode, 500)
    assert.equal(response.json().message, 'boom')
    assert.deepEqual(trace, ['outer in', 'between in', 'caught boom', 'finally', 'between out', 'outer out'])
  })
}

test('a layer inside the one that fails on the way out has unwound and does not run again', async (t) => {
  const trace: string[] = []
  const app = await start(t, [
    tracer('async function', '1', trace),
    { name: 'thrower', onSend: boom },
    tracer('pair', '2', trace),
    tracer('async function', '3', trace)
  ])

  const response = await app.inject('/')

  assert.equal(response.statusCode, 500)
  assert.deepEqual(trace, ['1 in', '2 in', '3 in', '3 out', '2 out'])
})

test('a layer that catches an error on the way out lets the answer go on', async (t) => {
  const trace: string[] = []
  const app = await start(t, [
    tracer('pair', 'outer', trace),
    async (exchange, next) => {
      await next().catch((error: Error) => {
        exchange.payload = error.message
      })
    },
    tracer('pair', 'between', trace),
    { name: 'thrower', onSend: boom }
  ])

  const response = await app.inject('/')

  assert.equal(response.statusCode, 200)
  assert.equal(response.body, 'boom')
  assert.deepEqual(trace, ['outer in', 'between in', 'outer out'])
})

test('a layer that catches an error on the way out may answer anew', async (t) => {
  const trace: string[] = []
  const app = await start(t, [
    tracer('async function', 'outer', trace),
    async ({ reply }, next) => {
      await next().catch((error: Error) => reply.code(502).send(error.message))
    },
    { name: 'thrower', onSend: boom }
  ])

  const response = await app.inject('/')

  assert.equal(response.statusCode, 502)
  assert.equal(response.body, 'boom')
  assert.deepEqual(trace, ['outer in', 'outer out'])
})

test('an error of the handler reaches the layers as the answer it became', async (t) => {
  const trace: string[] = []
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware, {
    layers: [
      async ({ reply }, next) => {
        await next()
        trace.push(`${reply.statusCode}`)
      }
    ]
  })
  app.get('/', async () => boom())

  const response = await app.inject('/')

  assert.equal(response.json().message, 'boom')
  assert.deepEqual(trace, ['500'])
})

test('a value that is not an Error is wrapped, with the value as cause', async (t) => {
  const causes: unknown[] = []
  const app = await start(t, [
    async (_exchange, next) => {
      await next().catch((error: Error) => {
        causes.push(error.cause)
        throw error
      })
    },
    {
      name: 'thrower',
      onRequest() {
        throw 'a string'
      }
    }
  ])

  const response = await app.inject('/')

  assert.equal(response.json().code, 'FST_GATEWAY_MIDDLEWARE_THREW')
  assert.deepEqual(causes, ['a string'])
})

const misuses: readonly { name: string; layer: Layer; code: string }[] = [
  {
    name: 'next() awaited twice',
    layer: async (_exchange, next) => {
      await next()
      await next()
    },
    code: 'FST_GATEWAY_NEXT_CALLED_TWICE'
  },
  {
    name: 'next() called again on the way out and not awaited',
    layer: async (_exchange, next) => {
      await next()
      next()
    },
    code: 'FST_GATEWAY_NEXT_CALLED_TWICE'
  },
  { name: 'neither next() nor an answer', layer: async (_exchange, _next) => {}, code: 'FST_GATEWAY_NOT_ANSWERED' },
  {
    name: 'neither next() nor an answer, synchronously',
    layer: (_exchange, _next) => {},
    code: 'FST_GATEWAY_NOT_ANSWERED'
  }
]

for (const { name, layer, code } of misuses) {
  test(`a misuse of next() is a 500 with its own code: ${name}`, async (t) => {
    const app = await start(t, [layer])

    const response = await app.inject('/')

    assert.equal(response.statusCode, 500)
    assert.equal(response.json().code, code)
  })
}

test('next() called twice at once is a 500 before the handler has answered', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware, {
    layers: [
      (_exchange, next) => {
        next()
        next()
      },
      { name: 'slow', onRequest: async () => {} }
    ]
  })
  app.get('/', async () => 'hello')

  const response = await app.inject('/')

  assert.equal(response.statusCode, 500)
  assert.equal(response.json().code, 'FST_GATEWAY_NEXT_CALLED_TWICE')
})

test('a layer that catches an error of the way in and does not answer is a 500', async (t) => {
  const app = await start(t, [
    async (_exchange, next) => {
      await next().catch(() => {})
    },
    { name: 'thrower', onRequest: boom }
  ])

  const response = await app.inject('/')

  assert.equal(response.json().code, 'FST_GATEWAY_NOT_ANSWERED')
})

test('a layer that answers and calls next() does not reach the layers inside', async (t) => {
  const trace: string[] = []
  const codes: unknown[] = []
  const app = await start(
    t,
    [
      async ({ reply }, next) => {
        reply.send('early')
        await next().catch((error) => codes.push(error.code))
      },
      tracer('pair', 'inside', trace)
    ],
    trace
  )

  const response = await app.inject('/')

  assert.equal(response.body, 'early')
  assert.deepEqual(codes, ['FST_GATEWAY_NEXT_AFTER_ANSWER'])
  assert.deepEqual(trace, [])
})

test('a layer that fails without having awaited next() is a 500 while the handler is still at work', async (t) => {
  const trace: string[] = []
  const app = Fastify()
  t.after(() => app.close())
  const reached = signal()
  await app.register(middleware, {
    layers: [
      tracer('async function', 'outer', trace),
      async (_exchange, next) => {
        next()
        await reached.fired
        boom()
      }
    ]
  })
  app.get('/', () => reached.fire())

  const response = await app.inject('/')

  assert.equal(response.statusCode, 500)
  assert.equal(response.json().message, 'boom')
  assert.deepEqual(trace, ['outer in', 'outer out'])
})

test('a layer need not await next() for the layers inside to run', async (t) => {
  const trace: string[] = []
  const app = await start(
    t,
    [
      tracer('async function', '1', trace),
      (_exchange, next) => {
        next()
      },
      tracer('async function', '2', trace)
    ],
    trace
  )

  const response = await app.inject('/')

  assert.equal(response.body, 'hello')
  assert.deepEqual(trace, ['1 in', '2 in', 'handler', '2 out', '1 out'])
})

const afterwards: readonly { name: string; layer: Layer }[] = [
  {
    name: 'an async function',
    layer: async ({ reply }, _next) => {
      reply.send('early')
      boom()
    }
  },
  {
    name: 'a pair',
    layer: {
      name: 'pair',
      onRequest({ reply }) {
        reply.send('early')
        boom()
      }
    }
  },
  {
    name: 'an async pair',
    layer: {
      name: 'pair',
      async onRequest({ reply }) {
        reply.send('early')
        boom()
      }
    }
  }
]

for (const { name, layer } of afterwards) {
  test(`a layer that throws after its answer changes nothing for the client, and is logged: ${name}`, async (t) => {
    const lines: string[] = []
    const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } } })
    t.after(() => app.close())
    await app.register(middleware, { layers: [layer] })
    app.get('/', async () => 'hello')

    const response = await app.inject('/')

    assert.equal(response.body, 'early')
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)).map(({ level, err }) => [level, err.message]),
      [[50, 'boom']]
    )
  })
}

test('a hook that answers anew on the way out has its return value ignored', async (t) => {
  const trace: string[] = []
  const pair: LayerPair = {
    name: 'anew',
    onSend({ reply }) {
      reply.code(202).send('anew')
      return 'ignored'
    }
  }
  const app = await start(t, [tracer('async pair', 'outer', trace), pair])

  const response = await app.inject('/')

  assert.equal(response.statusCode, 202)
  assert.equal(response.body, 'anew')
  assert.deepEqual(trace, ['outer in', 'outer out'])
})

function hijack({ reply }: Exchange): void {
  reply.hijack()
  reply.raw.end('raw')
}

const hijackers: readonly { name: string; layer: Layer }[] = [
  { name: 'a function', layer: (exchange, _next) => hijack(exchange) },
  { name: 'an async function', layer: async (exchange, _next) => hijack(exchange) },
  { name: 'a pair', layer: { name: 'hijacker', onRequest: hijack } },
  { name: 'an async pair', layer: { name: 'hijacker', onRequest: async (exchange) => hijack(exchange) } }
]

for (const { name, layer } of hijackers) {
  test(`a layer that hijacks the reply has answered: ${name}`, async (t) => {
    const trace: string[] = []
    const over = signal()
    const errors: unknown[] = []
    const end: LayerPair = {
      name: 'end',
      onResponse({ error }) {
        errors.push(error)
        over.fire()
      }
    }
    const app = await start(t, [end, layer, tracer('pair', 'inside', trace)], trace)

    const response = await app.inject('/')
    await over.fired

    assert.equal(response.body, 'raw')
    assert.deepEqual(errors, [undefined])
    assert.deepEqual(trace, [])
  })
}

test('layers outside of one that hijacks the reply are let go when the response is over', async (t) => {
  const trace: string[] = []
  const left = signal()
  const app = await start(
    t,
    [
      async (_exchange, next) => {
        trace.push('1 in')
        await next()
        trace.push('1 out')
        left.fire()
      },
      {
        name: 'hijacker',
        onRequest({ reply }) {
          reply.hijack()
          reply.raw.end('raw')
        }
      }
    ],
    trace
  )

  const response = await app.inject('/')
  await left.fired

  assert.equal(response.body, 'raw')
  assert.deepEqual(trace, ['1 in', '1 out'])
})

test('onResponse runs once for each layer that let the exchange in, the innermost first', async (t) => {
  const trace: string[] = []
  const over = signal()
  const ended = (name: string): LayerPair => ({ name, onResponse: () => void trace.push(name) })
  const last: LayerPair = { name: 'last', onResponse: over.fire }
  const app = await start(t, [last, ended('1'), ended('2'), refuser('pair', []), ended('3')])

  const response = await app.inject('/')
  await over.fired

  assert.equal(response.statusCode, 403)
  assert.deepEqual(trace, ['2', '1'])
})

test('an onResponse that throws or rejects is logged and keeps no other from running', async (t) => {
  const trace: string[] = []
  const lines: string[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => void lines.push(line) } } })
  t.after(() => app.close())
  const over = signal()
  await app.register(middleware, {
    layers: [
      { name: 'last', onResponse: over.fire },
      { name: '1', onResponse: () => void trace.push('1') },
      { name: '2', onResponse: boom },
      { name: '3', onResponse: async () => boom() }
    ]
  })
  app.get('/', async () => 'hello')

  await app.inject('/')
  await over.fired

  const errors = lines.map((line) => JSON.parse(line)).filter(({ err }) => err !== undefined)
  assert.deepEqual(trace, ['1'])
  assert.deepEqual(
    errors.map(({ err }) => err.message),
    ['boom', 'boom']
  )
})
