import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { always, assertError, eventually, foreignHook, script, send, startGateway } from './forwarding-helper.ts'
import { startRawTarget, startTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok'
const HALF = 'HTTP/1.1 203 Half\r\nContent-Type: text/plain\r\nX-First: 1\r\nContent-Length: 9\r\n\r\nhalf'
const MALFORMED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n'

async function startPair(t: TestContext, first: string) {
  const broken = script((socket) => socket.end(first))
  const sound = always(OK)
  const urls = [await startRawTarget(t, broken.onSocket), await startRawTarget(t, sound.onSocket)].map(({ url }) => url)
  return { broken, sound, urls }
}

test('a response that breaks off before a hook has seen it is asked of another target, and leaves no trace', async (t) => {
  const { broken, sound, urls } = await startPair(t, HALF)
  const payloads: string[] = []
  const ends: unknown[] = []
  const gateway = await startGateway(t, urls, {
    prepare: (app) => {
      app.addHook('onSend', async (_request, _reply, payload) => {
        payloads.push(String(payload))
        return payload
      })
      app.addHook('onResponse', async ({ exchange }) => void ends.push([exchange?.attempts, exchange?.bytes]))
    }
  })

  const reply = await send(gateway.port, { method: 'PUT' }, 'body')
  await gateway.idle()

  assert.deepEqual([reply.status, reply.body.toString(), reply.headers['x-first']], [200, 'ok', undefined])
  assert.deepEqual([broken.heads.length, sound.heads.length], [1, 1])
  assert.deepEqual([payloads, ends], [['ok'], [[2, 2]]])
})

test('what has come of a body that no client gets is not counted as sent', async (t) => {
  const { urls } = await startPair(t, HALF)
  const bytes: unknown[] = []
  const gateway = await startGateway(t, urls.slice(0, 1), {
    prepare: (app) => {
      app.addHook('onSend', async (_request, _reply, payload) => payload)
      app.addHook('onResponse', async ({ exchange }) => void bytes.push(exchange?.bytes))
    }
  })

  assertError(await send(gateway.port), 502, 'FST_GATEWAY_TARGET_CLOSED')
  await eventually(() => bytes.length === 1, 'the exchange does not end')
  assert.deepEqual(bytes, [0])
})

for (const [on, status, asked] of [
  [['reset' as const], 502, 0],
  [['malformed' as const], 200, 1]
] as const) {
  test(`a body that is malformed from its first byte leads to a ${status} where retry.on is ${on}`, async (t) => {
    const { broken, sound, urls } = await startPair(t, MALFORMED)
    const gateway = await startGateway(t, urls, { upstream: { retry: { on: [...on] } } })

    assert.equal((await send(gateway.port)).status, status)
    assert.deepEqual([broken.heads.length, sound.heads.length], [1, asked])
    await gateway.idle()
  })
}

test('a response that breaks off in time leads to the failover, where that has it', async (t) => {
  const { urls } = await startPair(t, HALF)
  const [broken = '', sound = ''] = urls
  const gateway = await startGateway(t, [broken], {
    upstream: { failover: { upstream: 'far', on: ['reset'] } },
    more: { far: { targets: [sound] } },
    prepare: foreignHook
  })

  assert.equal((await send(gateway.port)).body.toString(), 'ok')
  assertError(await send(gateway.port, { method: 'POST' }, 'body'), 502, 'FST_GATEWAY_TARGET_CLOSED')
  await gateway.idle()
})

test('a mirror is compared with the response that the client gets, and lets go of the one that broke off', async (t) => {
  const { broken, urls } = await startPair(t, HALF)
  const { url: shadow } = await startTarget(t, (_request, response) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end('ok')
  )
  const gateway = await startGateway(t, urls, {
    more: { shadow: { targets: [shadow] } },
    route: { mirror: [{ upstream: 'shadow', compare: { ignoreHeaders: ['date', 'keep-alive'] } }] },
    prepare: foreignHook
  })
  const { list } = gateway.app.mirrors

  const reply = await send(gateway.port)
  await eventually(() => list[0]?.inFlight === 0, 'a mirrored request stays')

  assert.deepEqual([reply.body.toString(), broken.heads.length], ['ok', 1])
  assert.deepEqual([list[0]?.counters.compared, list[0]?.counters.different], [1, 0])
  assert.equal(gateway.app.mirrors.heldBytes, 0)
})

test('a retried response tells the client the number of its own attempt', async (t) => {
  const { urls } = await startPair(t, HALF)
  const gateway = await startGateway(t, urls, {
    upstream: { retry: { attemptHeader: 'x-attempt' } },
    prepare: foreignHook
  })

  const { headers } = await send(gateway.port)

  assert.equal(headers['x-attempt'], '2')
})
