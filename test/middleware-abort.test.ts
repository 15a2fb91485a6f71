import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyInstance, type RouteHandlerMethod } from 'fastify'
import middleware, { type Exchange, type Layer, type LayerFunction, whenClosed } from '../plugins/middleware/index.ts'
import { portOf } from './helper.ts'
import { connectFrames, data, END_HEADERS, headers, NO_ERROR, pseudo, rstStream } from './http2-frames-helper.ts'

async function start(t: TestContext, layers: readonly Layer[], handler: RouteHandlerMethod): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: true })
  t.after(() => app.close())
  await app.register(middleware, { layers })
  app.get('/', handler)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

function request(app: FastifyInstance, count = 1): Socket {
  const socket = connect(portOf(app.server), '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: gateway\r\n\r\n'.repeat(count))
  return socket
}

/** A queue to wait on: what layers tell, in order. */
function channel<T>() {
  const waiting: ((value: T) => void)[] = []
  const values: T[] = []
  return {
    put(value: T) {
      const take = waiting.shift()
      if (take === undefined) values.push(value)
      else take(value)
    },
    take(): Promise<T> {
      const value = values.shift()
      if (value !== undefined) return Promise.resolve(value)
      return new Promise((resolve) => waiting.push(resolve))
    }
  }
}

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error)

/** A layer that tells how its `next()` ended, and that its `finally` ran. */
function watcher(name: string, tell: (event: string) => void): LayerFunction {
  return async (_exchange, next) => {
    try {
      await next()
      tell(`${name} resolved`)
    } catch (error) {
      tell(`${name} ${codeOf(error)}`)
      throw error
    } finally {
      tell(`${name} finally`)
    }
  }
}

test('when the client leaves, waiting layers are let go from the inside out and onResponse runs once', async (t) => {
  const events = channel<string>()
  const reached = channel<true>()
  const ended = channel<Exchange>()
  const layers: Layer[] = [
    watcher('outer', events.put),
    { name: 'ended', onResponse: ended.put },
    watcher('inner', events.put)
  ]
  const app = await start(t, layers, () => reached.put(true))

  const socket = request(app)
  await reached.take()
  socket.destroy()
  const exchange = await ended.take()
  const seen = [await events.take(), await events.take(), await events.take(), await events.take()]

  assert.deepEqual(seen, [
    'inner FST_GATEWAY_CLIENT_CLOSED',
    'inner finally',
    'outer FST_GATEWAY_CLIENT_CLOSED',
    'outer finally'
  ])
  assert.equal(codeOf(exchange.error), 'FST_GATEWAY_CLIENT_CLOSED')
})

test('a layer that is still on its way in when the client leaves cannot go on', async (t) => {
  const events = channel<string>()
  const entered = channel<Exchange>()
  const gate = channel<true>()
  const layers: Layer[] = [
    watcher('outer', events.put),
    async (exchange, next) => {
      entered.put(exchange)
      await gate.take()
      await next().catch((error) => {
        events.put(`inner ${codeOf(error)}`)
        throw error
      })
    }
  ]
  let handled = 0
  const app = await start(t, layers, async () => {
    handled++
  })

  const socket = request(app)
  const exchange = await entered.take()
  const closed = once(exchange.reply.raw, 'close')
  socket.destroy()
  await closed
  const outer = [await events.take(), await events.take()]
  gate.put(true)
  const inner = await events.take()

  assert.deepEqual(outer, ['outer FST_GATEWAY_CLIENT_CLOSED', 'outer finally'])
  assert.equal(inner, 'inner FST_GATEWAY_CLIENT_CLOSED')
  assert.equal(handled, 0)
})

test('a client that leaves while layers unwind releases the stream they hold', async (t) => {
  const events = channel<string>()
  const unwinding = channel<true>()
  const source = new PassThrough()
  const replacement = new PassThrough()
  const layers: Layer[] = [
    watcher('outer', events.put),
    { name: 'stuck', onSend: () => new Promise(() => unwinding.put(true)) },
    { name: 'replacer', onSend: () => replacement }
  ]
  const app = await start(t, layers, (_request, reply) => {
    reply.send(source)
  })
  const released = Promise.all([once(source, 'close'), once(replacement, 'close')])

  const socket = request(app)
  await unwinding.take()
  socket.destroy()
  const seen = [await events.take(), await events.take()]
  await released

  assert.deepEqual(seen, ['outer FST_GATEWAY_CLIENT_CLOSED', 'outer finally'])
})

test('a client that leaves in the middle of a replaced body releases its source', async (t) => {
  const source = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(1024)
    })()
  )
  const closed = once(source, 'close')
  const layers: Layer[] = [{ name: 'replacer', onSend: () => source.pipe(new PassThrough()) }]
  const app = await start(t, layers, (_request, reply) => {
    reply.send(source)
  })

  const socket = request(app)
  await once(socket, 'data')
  socket.destroy()
  await closed

  assert.equal(source.destroyed, true)
})

test('a client that leaves while a pipelined response is queued lets its layers go, too', async (t) => {
  const events = channel<string>()
  const reached = channel<true>()
  const app = await start(t, [watcher('layer', events.put)], () => reached.put(true))

  const socket = request(app, 2)
  await reached.take()
  await reached.take()
  socket.destroy()
  const seen = [await events.take(), await events.take(), await events.take(), await events.take()]

  assert.deepEqual(seen.toSorted(), [
    'layer FST_GATEWAY_CLIENT_CLOSED',
    'layer FST_GATEWAY_CLIENT_CLOSED',
    'layer finally',
    'layer finally'
  ])
})

test('whenClosed hears of an HTTP/2 stream that is reset while nobody reads it', async (t) => {
  const closed = channel<true>()
  const reached = channel<true>()
  const server = createServer((request, response) => {
    // As Fastify types them, whatever the server speaks.
    const raw: unknown[] = [request, response]
    const [message, reply] = raw as [IncomingMessage, ServerResponse]
    whenClosed(message, reply, () => closed.put(true))
    request.once('data', () => {
      request.pause()
      reached.put(true)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const client = connectFrames(t, portOf(server))

  client.send(headers(1, pseudo('POST', '/', 'a.test'), END_HEADERS))
  client.send(...Array.from({ length: 4 }, () => data(1, Buffer.alloc(16_000))))
  await reached.take()
  client.send(rstStream(1, NO_ERROR))

  assert.equal(await closed.take(), true)
  client.socket.destroy()
})

test('a client that leaves when its pipelined response is no longer queued ends the exchange once', async (t) => {
  const events = channel<string>()
  const reached = channel<Pick<Exchange, 'reply'>>()
  const layers: Layer[] = [watcher('layer', events.put), { name: 'ended', onResponse: () => events.put('ended') }]
  const app = await start(t, layers, (_request, reply) => reached.put({ reply }))

  const socket = request(app, 2)
  const first = await reached.take()
  const second = await reached.take()
  const assigned = once(first.reply.raw, 'close')
  first.reply.send('first')
  const answered = [await events.take(), await events.take(), await events.take()]
  await assigned
  const closed = once(second.reply.raw, 'close')
  socket.destroy()
  await closed
  const left = [await events.take(), await events.take(), await events.take()]
  events.put('nothing more')
  const rest = await events.take()

  assert.deepEqual(answered, ['layer resolved', 'layer finally', 'ended'])
  assert.deepEqual(left, ['ended', 'layer FST_GATEWAY_CLIENT_CLOSED', 'layer finally'])
  assert.equal(rest, 'nothing more')
})

test('a client that leaves before a response that has ended is flushed is told as such', async (t) => {
  const sent = channel<true>()
  const ended = channel<Exchange>()
  const app = await start(t, [{ name: 'ended', onResponse: ended.put }], (_request, reply) => {
    reply.send(Buffer.alloc(64 * 1024 * 1024))
    sent.put(true)
  })

  const socket = request(app)
  await sent.take()
  socket.destroy()
  const exchange = await ended.take()

  assert.equal(codeOf(exchange.error), 'FST_GATEWAY_CLIENT_CLOSED')
})

test('a client that leaves while a pipelined response that has ended is queued is told as such', async (t) => {
  const reached = channel<Pick<Exchange, 'reply'>>()
  const ended = channel<Exchange>()
  const app = await start(t, [{ name: 'ended', onResponse: ended.put }], (_request, reply) => reached.put({ reply }))

  const socket = request(app, 2)
  await reached.take()
  const second = await reached.take()
  second.reply.send('queued')
  socket.destroy()
  const exchanges = [await ended.take(), await ended.take()]

  assert.deepEqual(
    exchanges.map(({ error }) => codeOf(error)),
    ['FST_GATEWAY_CLIENT_CLOSED', 'FST_GATEWAY_CLIENT_CLOSED']
  )
})

test('an injected response that is destroyed before its end is told as such', async (t) => {
  const ended = channel<Exchange>()
  const app = Fastify()
  t.after(() => app.close())
  await app.register(middleware, { layers: [{ name: 'ended', onResponse: ended.put }] })
  app.get('/', (_request, reply) => {
    reply.raw.destroy()
  })

  await assert.rejects(async () => app.inject('/'))
  const exchange = await ended.take()

  assert.equal(codeOf(exchange.error), 'FST_GATEWAY_CLIENT_CLOSED')
})

for (const { form, onSend } of [
  { form: 'synchronous', onSend: () => 'instead' },
  { form: 'asynchronous', onSend: async () => 'instead' }
]) {
  test(`a stream replaced after the client left is released, and no other layer sees the answer: ${form}`, async (t) => {
    const trace: string[] = []
    const reached = channel<Pick<Exchange, 'reply'>>()
    const source = new PassThrough()
    const released = once(source, 'close')
    const layers: Layer[] = [
      { name: 'outer', onSend: () => void trace.push('outer') },
      { name: 'replacer', onSend }
    ]
    const app = await start(t, layers, (_request, reply) => reached.put({ reply }))

    const socket = request(app)
    const { reply } = await reached.take()
    const closed = once(reply.raw, 'close')
    socket.destroy()
    await closed
    reply.send(source)
    await released

    assert.deepEqual(trace, [])
  })
}

test('pipelined responses that are complete end as such', async (t) => {
  const ended = channel<Exchange>()
  const app = await start(t, [{ name: 'ended', onResponse: ended.put }], async () => 'hello')

  const socket = request(app, 3)
  t.after(() => socket.destroy())
  const exchanges = [await ended.take(), await ended.take(), await ended.take()]

  assert.deepEqual(
    exchanges.map(({ error }) => error),
    [undefined, undefined, undefined]
  )
})

test('a client that left before the onion was reached meets no layer', async (t) => {
  const trace: string[] = []
  const arrived = channel<Pick<Exchange, 'reply'>>()
  const gate = channel<true>()
  const over = channel<true>()
  const app = Fastify({ forceCloseConnections: true })
  t.after(() => app.close())
  app.addHook('onRequest', async (_request, reply) => {
    arrived.put({ reply })
    await gate.take()
    setImmediate(over.put, true)
  })
  await app.register(middleware, { layers: [watcher('layer', (event) => trace.push(event))] })
  app.get('/', async () => 'hello')
  await app.listen({ port: 0, host: '127.0.0.1' })

  const socket = request(app)
  const { reply } = await arrived.take()
  const closed = once(reply.raw, 'close')
  socket.destroy()
  await closed
  gate.put(true)
  await over.take()

  assert.deepEqual(trace, [])
})

test('an answer that comes after the client left runs no response half', async (t) => {
  const trace: string[] = []
  const reached = channel<Pick<Exchange, 'reply'>>()
  const over = channel<true>()
  const layers: Layer[] = [
    { name: 'ended', onResponse: () => over.put(true) },
    { name: 'pair', onSend: () => void trace.push('pair out') }
  ]
  const app = await start(t, layers, (_request, reply) => reached.put({ reply }))
  const source = new PassThrough()
  const closed = once(source, 'close')

  const socket = request(app)
  const { reply } = await reached.take()
  socket.destroy()
  await over.take()
  reply.send(source)
  await closed

  assert.deepEqual(trace, [])
})

test('a body that fails midway is the error of the exchange, not the client', async (t) => {
  const ended = channel<Exchange>()
  const source = new PassThrough()
  const layers: Layer[] = [
    { name: 'ended', onResponse: ended.put },
    { name: 'watcher', onSend() {} }
  ]
  const app = await start(t, layers, (_request, reply) => {
    reply.send(source)
    source.write('part')
  })

  const socket = request(app)
  await once(socket, 'data')
  source.destroy(new Error('target reset'))
  const exchange = await ended.take()

  assert.equal(exchange.error?.message, 'target reset')
})

test('layers that pass on the rejection of next() leave no error in the log', async (t) => {
  const lines: string[] = []
  const events = channel<string>()
  const reached = channel<true>()
  const app = Fastify({
    forceCloseConnections: true,
    logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } }
  })
  t.after(() => app.close())
  await app.register(middleware, { layers: [watcher('outer', events.put), watcher('inner', events.put)] })
  app.get('/', () => reached.put(true))
  await app.listen({ port: 0, host: '127.0.0.1' })

  const socket = request(app)
  await reached.take()
  socket.destroy()
  for (let i = 0; i < 4; i++) await events.take()

  assert.deepEqual(lines, [])
})

test('an error in a finally block after the client left is logged', async (t) => {
  const errors = channel<string>()
  const reached = channel<true>()
  const write = (line: string) => {
    const { err } = JSON.parse(line)
    if (err !== undefined) errors.put(err.message)
  }
  const app = Fastify({ forceCloseConnections: true, logger: { level: 'error', stream: { write } } })
  t.after(() => app.close())
  await app.register(middleware, {
    layers: [
      async (_exchange, next) => {
        await next().finally(() => {
          throw new Error('cleanup failed')
        })
      }
    ]
  })
  app.get('/', () => reached.put(true))
  await app.listen({ port: 0, host: '127.0.0.1' })

  const socket = request(app)
  await reached.take()
  socket.destroy()
  const message = await errors.take()

  assert.equal(message, 'cleanup failed')
})

test('a thousand exchanges whose clients leave all run to their end', async (t) => {
  const count = 1000
  const open = new Set<Exchange>()
  const reached = channel<true>()
  const closed = channel<true>()
  let ends = 0
  const layers: Layer[] = [
    async (exchange, next) => {
      open.add(exchange)
      try {
        await next()
      } finally {
        open.delete(exchange)
        closed.put(true)
      }
    },
    { name: 'ended', onResponse: () => void ends++ }
  ]
  const app = await start(t, layers, () => reached.put(true))

  for (let batch = 0; batch < count; batch += 50) {
    const sockets = Array.from({ length: 50 }, () => request(app))
    for (const _ of sockets) await reached.take()
    for (const socket of sockets) socket.destroy()
    for (const _ of sockets) await closed.take()
  }

  assert.equal(open.size, 0)
  assert.equal(ends, count)
})
