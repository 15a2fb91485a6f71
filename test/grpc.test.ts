import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Client, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { eventually } from './forwarding-helper.ts'
import { bytes, grpcClient, pathOf, startGrpc } from './grpc-helper.ts'
import { freePort } from './helper.ts'
import { startServer } from './server-helper.ts'

interface Outcome {
  error: ServiceError | null
  value: string
  headers: Metadata
  trailers: Metadata
}

/** One unary call; resolves with whatever comes of it. */
function call(client: Client, message: string | Buffer, metadata = new Metadata(), options = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome: Outcome = { error: null, value: '', headers: new Metadata(), trailers: new Metadata() }
    const request = Buffer.from(message)
    const pending = client.makeUnaryRequest(
      pathOf('unary'),
      bytes,
      bytes,
      request,
      metadata,
      options,
      (error, value) => {
        outcome.error = error
        outcome.value = value?.toString() ?? ''
        resolve(outcome)
      }
    )
    pending.on('metadata', (headers) => {
      outcome.headers = headers
    })
    pending.on('status', ({ metadata: trailers }) => {
      outcome.trailers = trailers
    })
  })
}

test('a unary call passes, with its metadata both ways', async (t) => {
  const { client, gateway } = await startGrpc(t, {
    unary(request, done) {
      const headers = new Metadata()
      headers.set('x-initial', String(request.metadata.get('x-asked')[0]))
      request.sendMetadata(headers)
      const trailers = new Metadata()
      trailers.set('x-final', 'end')
      trailers.set('x-binary-bin', Buffer.from([0, 1, 255]))
      done(null, Buffer.from(`echo ${request.request}`), trailers)
    }
  })
  const metadata = new Metadata()
  metadata.set('x-asked', 'yes')

  const { error, value, headers, trailers } = await call(client, 'hello', metadata)

  assert.deepEqual([error, value], [null, 'echo hello'])
  assert.deepEqual(headers.get('x-initial'), ['yes'])
  assert.deepEqual(trailers.get('x-final'), ['end'])
  assert.deepEqual(trailers.get('x-binary-bin'), [Buffer.from([0, 1, 255])])
  await gateway.idle()
})

test('an error before any message reaches the client with its code, words and metadata', async (t) => {
  const { client, gateway } = await startGrpc(t, {
    unary(_request, done) {
      const metadata = new Metadata()
      metadata.set('x-hint', 'elsewhere')
      done({ code: status.NOT_FOUND, details: 'no such thing: ü', metadata })
    }
  })

  const { error } = await call(client, 'hello')

  assert.deepEqual([error?.code, error?.details], [status.NOT_FOUND, 'no such thing: ü'])
  assert.deepEqual(error?.metadata.get('x-hint'), ['elsewhere'])
  await gateway.idle()
})

test('a method that the target does not have is UNIMPLEMENTED', async (t) => {
  const { client } = await startGrpc(t, {})

  assert.equal((await call(client, 'hello')).error?.code, status.UNIMPLEMENTED)
})

test('the messages of a server stream arrive in order, then its status', async (t) => {
  const { client, gateway } = await startGrpc(t, {
    serverStream(stream) {
      for (let i = 0; i < 500; i++) stream.write(Buffer.from(`${stream.request} ${i}`))
      stream.end()
    }
  })
  const stream = client.makeServerStreamRequest(pathOf('serverStream'), bytes, bytes, Buffer.from('n'))
  const received: string[] = []

  for await (const message of stream) received.push(String(message))

  assert.deepEqual(
    received,
    Array.from({ length: 500 }, (_, i) => `n ${i}`)
  )
  await gateway.idle()
})

test('an error after messages of a server stream comes after these messages', async (t) => {
  const { client } = await startGrpc(t, {
    serverStream(stream) {
      stream.write(Buffer.from('first'))
      stream.emit('error', { code: status.DATA_LOSS, details: 'gone' })
    }
  })
  const stream = client.makeServerStreamRequest(pathOf('serverStream'), bytes, bytes, Buffer.from(''))
  const received: string[] = []
  stream.on('data', (message) => received.push(String(message)))

  const [error] = await once(stream, 'error')

  assert.deepEqual([error.code, error.details, received], [status.DATA_LOSS, 'gone', ['first']])
})

test('the messages of a client stream arrive in order, and are answered at its end', async (t) => {
  const { client, gateway } = await startGrpc(t, {
    clientStream(stream, done) {
      const received: string[] = []
      stream.on('data', (message) => received.push(String(message)))
      stream.on('end', () => done(null, Buffer.from(received.join(' '))))
    }
  })

  const answer = await new Promise((resolve, reject) => {
    const stream = client.makeClientStreamRequest(pathOf('clientStream'), bytes, bytes, (error, value) =>
      error === null ? resolve(String(value)) : reject(error)
    )
    for (let i = 0; i < 100; i++) stream.write(Buffer.from(String(i)))
    stream.end()
  })

  assert.equal(answer, Array.from({ length: 100 }, (_, i) => i).join(' '))
  await gateway.idle()
})

test('both sides of a bidirectional stream talk in turn, each message passed on at once', async (t) => {
  const { client, gateway } = await startGrpc(t, {
    bidirectional(stream) {
      stream.on('data', (message) => stream.write(Buffer.from(`re: ${message}`)))
      stream.on('end', () => stream.end())
    }
  })
  const stream = client.makeBidiStreamRequest(pathOf('bidirectional'), bytes, bytes)

  for (let i = 0; i < 20; i++) {
    stream.write(Buffer.from(`message ${i}`))
    const [answer] = await once(stream, 'data')
    assert.equal(String(answer), `re: message ${i}`)
  }
  stream.end()
  const [{ code }] = await once(stream.resume(), 'status')

  assert.equal(code, status.OK)
  await gateway.idle()
})

test('the deadline of a client ends the call at the target too', async (t) => {
  let cancelled = 0
  let deadline: unknown
  const { client, gateway } = await startGrpc(t, {
    unary(request) {
      deadline = request.getDeadline()
      request.on('cancelled', () => cancelled++)
    }
  })

  const { error } = await call(client, 'hello', new Metadata(), { deadline: Date.now() + 150 })

  assert.equal(error?.code, status.DEADLINE_EXCEEDED)
  assert.ok(deadline instanceof Date || Number.isFinite(deadline), 'grpc-timeout does not arrive')
  await eventually(() => cancelled === 1, 'the call goes on at the target')
  await gateway.idle()
})

test('a call that the client cancels is cancelled at the target', async (t) => {
  let begun = 0
  let cancelled = 0
  const { client, gateway } = await startGrpc(t, {
    serverStream(stream) {
      begun++
      stream.write(Buffer.from('first'))
      stream.on('cancelled', () => cancelled++)
    }
  })
  const stream = client.makeServerStreamRequest(pathOf('serverStream'), bytes, bytes, Buffer.from(''))
  stream.on('error', () => {})
  await once(stream, 'data')

  stream.cancel()

  await eventually(() => cancelled === 1, 'the call goes on at the target')
  assert.equal(begun, 1)
  await gateway.idle()
})

test('a message of 8 MiB passes both ways', async (t) => {
  const { client, gateway } = await startGrpc(t, { unary: (request, done) => done(null, request.request) })
  const message = Buffer.alloc(8 * 1024 * 1024, 'abcdefg')

  const { error, value } = await call(client, message)

  assert.equal(error, null)
  assert.ok(message.equals(Buffer.from(value)))
  await gateway.idle()
})

test('two hundred calls at once all get their own answer', async (t) => {
  const echo = {
    unary: (request: { request: Buffer }, done: (error: null, value: Buffer) => void) => done(null, request.request)
  }
  const { client, gateway } = await startGrpc(t, echo, echo)

  const outcomes = await Promise.all(Array.from({ length: 200 }, (_, i) => call(client, `call ${i}`)))

  assert.deepEqual(
    outcomes.map(({ value }) => value),
    Array.from({ length: 200 }, (_, i) => `call ${i}`)
  )
  await gateway.idle()
})

test('calls go on at another target when one shuts down in order', async (t) => {
  const named = (name: string) => ({
    unary: (_request: unknown, done: (error: null, value: Buffer) => void) => done(null, Buffer.from(name))
  })
  const { client, servers } = await startGrpc(t, named('a'), named('b'))
  const before = [await call(client, ''), await call(client, '')].map(({ value }) => value)

  await new Promise<void>((resolve) => servers[0]?.tryShutdown(() => resolve()))
  const after = [await call(client, ''), await call(client, ''), await call(client, '')].map(({ value }) => value)

  assert.deepEqual(before.toSorted(), ['a', 'b'])
  assert.deepEqual(after, ['b', 'b', 'b'])
})

test('a target that cannot be reached is UNAVAILABLE', async (t) => {
  const gateway = await startServer(t, [`http://127.0.0.1:${await freePort()}`], { upstream: { http2: true } })

  const { error } = await call(grpcClient(t, gateway.port), 'hello')

  assert.equal(error?.code, status.UNAVAILABLE)
})
