import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough, pipeline, Readable, Transform } from 'node:stream'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyInstance, type RouteHandlerMethod } from 'fastify'
import middleware, { type Layer, type LayerFunction } from '../plugins/middleware/index.ts'
import { portOf } from './helper.ts'

/** Sends one request over a socket of its own and reads until the server closes it. */
async function exchange(app: FastifyInstance, method = 'GET'): Promise<{ head: string; body: string }> {
  if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect(portOf(app.server), '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`${method} / HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n`)
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  await once(socket, 'close')
  const text = Buffer.concat(chunks).toString('latin1')
  const split = text.indexOf('\r\n\r\n')
  return { head: text.slice(0, split).toLowerCase(), body: text.slice(split + 4) }
}

async function start(t: TestContext, layer: Layer, handler: RouteHandlerMethod): Promise<FastifyInstance> {
  const app = Fastify({ exposeHeadRoutes: false, forceCloseConnections: true })
  t.after(() => app.close())
  await app.register(middleware, { layers: [layer] })
  app.route({ method: ['GET', 'HEAD'], url: '/', handler })
  return app
}

/** Both forms of a layer that puts another body into the place of the target's. */
function replacers(body: (old: unknown) => unknown): { form: string; layer: Layer }[] {
  const handle: LayerFunction = async (exchange, next) => {
    await next()
    exchange.payload = body(exchange.payload)
  }
  return [
    { form: 'a function', layer: handle },
    { form: 'a pair', layer: { name: 'replacer', onSend: (_exchange, old) => body(old) } },
    { form: 'an async pair', layer: { name: 'replacer', onSend: async (_exchange, old) => body(old) } }
  ]
}

const upper = () => new Transform({ transform: (chunk, _encoding, done) => done(null, String(chunk).toUpperCase()) })

const bodies: readonly { name: string; body: (old: unknown) => unknown; framing: RegExp; sent: string }[] = [
  { name: 'a string', body: () => 'grün', framing: /content-length: 5/, sent: 'gr\u00c3\u00bcn' },
  {
    name: 'a Buffer',
    body: () => Buffer.from('longer than before'),
    framing: /content-length: 18/,
    sent: 'longer than before'
  },
  {
    name: 'a stream of its own',
    body: () => Readable.from([Buffer.from('abc'), Buffer.from('def')]),
    framing: /transfer-encoding: chunked/,
    sent: '3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n'
  },
  {
    name: 'a stream fed by the old one',
    body: (old) => (old instanceof Readable ? old.pipe(upper()) : assert.fail('no stream')),
    framing: /transfer-encoding: chunked/,
    sent: '5\r\nHELLO\r\n0\r\n\r\n'
  },
  { name: 'none', body: () => null, framing: /content-length: 0/, sent: '' }
]

for (const { name, body, framing, sent } of bodies) {
  for (const { form, layer } of replacers(body)) {
    test(`the framing on the wire is that of the new body: ${name}, by ${form}`, async (t) => {
      const app = await start(t, layer, (_request, reply) => {
        reply.header('content-length', '5').send(Readable.from([Buffer.from('hello')]))
      })

      const answer = await exchange(app)

      assert.match(answer.head, framing)
      assert.equal(answer.head.match(/content-length|transfer-encoding/g)?.length, 1)
      assert.equal(answer.body, sent)
    })
  }
}

test('a body that no layer changes keeps its length', async (t) => {
  const app = await start(t, { name: 'watcher', onSend() {} }, (_request, reply) => {
    reply.header('content-length', '5').send(Readable.from([Buffer.from('hello')]))
  })

  const answer = await exchange(app)

  assert.match(answer.head, /content-length: 5/)
  assert.equal(answer.body, 'hello')
})

for (const { form, layer } of replacers(() => 'instead')) {
  test(`a transfer coding that the handler set does not stay beside the new length: ${form}`, async (t) => {
    const app = await start(t, layer, (_request, reply) => {
      reply.header('transfer-encoding', 'chunked').send(Readable.from([Buffer.from('hello')]))
    })

    const answer = await exchange(app)

    assert.match(answer.head, /content-length: 7/)
    assert.doesNotMatch(answer.head, /transfer-encoding/)
    assert.equal(answer.body, 'instead')
  })
}

test('a length that the layer sets for its own stream is kept', async (t) => {
  const layer: Layer = {
    name: 'replacer',
    onSend({ reply }) {
      reply.header('content-length', '3')
      return Readable.from([Buffer.from('abc')])
    }
  }
  const app = await start(t, layer, (_request, reply) => {
    reply.header('content-length', '5').send(Readable.from([Buffer.from('hello')]))
  })

  const answer = await exchange(app)

  assert.match(answer.head, /content-length: 3/)
  assert.equal(answer.body, 'abc')
})

for (const { form, layer } of replacers((old) => old)) {
  test(`the answer to HEAD keeps the length of the body it stands for: ${form}`, async (t) => {
    const app = await start(t, layer, (_request, reply) => {
      reply.header('content-length', '1234').send(null)
    })

    const answer = await exchange(app, 'HEAD')

    assert.match(answer.head, /content-length: 1234/)
    assert.equal(answer.body, '')
  })
}

for (const { form, layer } of replacers(() => 'changed')) {
  test(`the answer to HEAD gets the length of the body a layer puts there, and no body: ${form}`, async (t) => {
    const app = await start(t, layer, (_request, reply) => {
      reply.header('content-length', '1234').send(null)
    })

    const answer = await exchange(app, 'HEAD')

    assert.match(answer.head, /content-length: 7/)
    assert.equal(answer.body, '')
  })

  for (const status of [204, 304]) {
    test(`a ${status} stays without a body whatever a layer puts there: ${form}`, async (t) => {
      const app = await start(t, layer, (_request, reply) => {
        reply.code(status).send()
      })

      const answer = await exchange(app)

      assert.match(answer.head, new RegExp(`^http/1.1 ${status}`))
      assert.equal(answer.body, '')
    })
  }
}

for (const { form, layer } of replacers(() => 'instead')) {
  test(`a stream that a layer throws away is destroyed when the response is over: ${form}`, async (t) => {
    const source = new Readable({ read() {} })
    const closed = once(source, 'close')
    const app = await start(t, layer, (_request, reply) => {
      reply.send(source)
    })

    const answer = await exchange(app)
    await closed

    assert.equal(answer.body, 'instead')
    assert.equal(source.destroyed, true)
  })

  test(`a stream that fails after a layer threw it away harms nobody: ${form}`, async (t) => {
    const source = new Readable({ read() {} })
    const app = await start(t, layer, (_request, reply) => {
      reply.send(source)
      setImmediate(() => source.destroy(new Error('target reset')))
    })

    const answer = await exchange(app)

    assert.equal(answer.body, 'instead')
  })
}

for (const { form, layer } of replacers(() => Readable.from([Buffer.from('of its own')]))) {
  test(`a stream that fails unread does not touch the one in its place: ${form}`, async (t) => {
    const source = new Readable({ read() {} })
    const app = await start(t, layer, (_request, reply) => {
      reply.raw.on('pipe', () => source.destroy(new Error('target reset')))
      reply.send(source)
    })

    const answer = await exchange(app)

    assert.match(answer.body, /of its own\r\n0\r\n\r\n$/)
  })
}

test('a stream that fed a discarded answer does not touch the answer that came after', async (t) => {
  const source = new PassThrough()
  const second = new PassThrough()
  const layers: Layer[] = [
    {
      name: 'thrower',
      onSend() {
        throw new Error('boom')
      }
    },
    { name: 'replacer', onSend: () => source.pipe(upper()) }
  ]
  const app = Fastify({ forceCloseConnections: true })
  t.after(() => app.close())
  app.setErrorHandler((_error, _request, reply) => {
    reply.raw.on('pipe', () => {
      source.on('close', () => second.end('second'))
      source.destroy(new Error('target reset'))
    })
    reply.send(second)
  })
  await app.register(middleware, { layers })
  app.get('/', (_request, reply) => {
    reply.send(source)
  })

  const answer = await exchange(app)

  assert.match(answer.body, /second\r\n0\r\n\r\n$/)
})

const joins: readonly { name: string; join: (source: Readable, sink: PassThrough) => unknown }[] = [
  { name: '.pipe()', join: (source, sink) => source.pipe(sink) },
  { name: 'pipeline()', join: (source, sink) => pipeline(source, sink, () => {}) }
]

for (const { name, join } of joins) {
  for (const { form, layer } of replacers((old) => (old instanceof Readable ? join(old, new PassThrough()) : old))) {
    test(`a source that breaks off mid-body is visible to the client as such: ${name}, by ${form}`, async (t) => {
      const source = new PassThrough()
      const app = await start(t, layer, (_request, reply) => {
        reply.raw.on('pipe', (sink) => {
          sink.on('data', () => source.destroy(new Error('target reset')))
        })
        reply.send(source)
        source.write('part')
      })

      const answer = await exchange(app)

      assert.match(answer.head, /^http\/1.1 200/)
      assert.doesNotMatch(answer.body, /0\r\n\r\n$/)
    })
  }
}

test('a source that fails before the first byte becomes an error answer, though a layer has piped it on', async (t) => {
  const source = new PassThrough()
  const layer: Layer = {
    name: 'replacer',
    onSend: (_exchange, old) => (old instanceof Readable ? old.pipe(upper()) : old)
  }
  const app = await start(t, layer, (_request, reply) => {
    reply.raw.on('pipe', () => source.destroy(new Error('target reset')))
    reply.send(source)
  })

  const answer = await exchange(app)

  assert.match(answer.head, /^http\/1.1 500/)
  assert.match(answer.body, /target reset/)
})

test('a stream that fails while layers still unwind becomes an error answer', async (t) => {
  const source = new PassThrough()
  const layer: LayerFunction = async (_exchange, next) => {
    await next()
    // Not once(): it would listen for the error, and so hide that nobody else does.
    const closed = new Promise<void>((resolve) => source.on('close', resolve))
    source.destroy(new Error('target reset'))
    await closed
  }
  const app = await start(t, layer, (_request, reply) => {
    reply.send(source)
  })

  const answer = await exchange(app)

  assert.match(answer.head, /^http\/1.1 500/)
  assert.match(answer.body, /target reset/)
})

test('a stream is destroyed when a layer fails after it has seen it', async (t) => {
  const source = new PassThrough()
  const closed = once(source, 'close')
  const layer: Layer = {
    name: 'thrower',
    onSend(_exchange, payload) {
      if (payload === source) throw new Error('boom')
    }
  }
  const app = await start(t, { layers: [async (_exchange, next) => next(), layer] }, (_request, reply) => {
    reply.send(source)
  })

  const answer = await exchange(app)
  await closed

  assert.match(answer.head, /^http\/1.1 500/)
})

for (const { form, layer } of replacers(() => ({ not: 'a body' }))) {
  test(`what cannot be sent as a body is a 500: ${form}`, async (t) => {
    const app = await start(t, layer, (_request, reply) => {
      reply.send('hello')
    })

    const answer = await exchange(app)

    assert.match(answer.head, /^http\/1.1 500/)
    assert.match(answer.body, /FST_ERR_REP_INVALID_PAYLOAD_TYPE/)
  })
}
