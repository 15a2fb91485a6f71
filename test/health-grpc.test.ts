import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status
} from '@grpc/grpc-js'
import { Target } from '../plugins/balancer/index.ts'
import { type GatewayOptions, parseOptions } from '../plugins/config/index.ts'
import { decodeHealthResponse, encodeHealthRequest } from '../plugins/health/probes/grpc-message.ts'
import { createProbe } from '../plugins/health/probes/index.ts'
import { startTarget } from './helper.ts'
import { startHttp2Target } from './http2-transport-helper.ts'

type Active = NonNullable<NonNullable<NonNullable<GatewayOptions['upstreams']>[string]['health']>['active']>

const bytes = (value: Buffer): Buffer => value
const Health = {
  check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes
  }
}

/** What services say of themselves: a status of `HealthCheckResponse`, by name. */
const SERVICES: Readonly<Record<string, number>> = { '': 1, 'shop.Orders': 1, 'shop.Stock': 2, 'shop.Odd': 7 }

/** A gRPC server with the health service. */
async function startHealthServer(t: TestContext) {
  const calls: { service: string; metadata: Metadata; deadline: unknown }[] = []
  const server = new Server()
  server.addService(Health, {
    check(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
      // Field 1 of the request, if there is any: tag, length, name.
      const service = call.request.subarray(2).toString()
      calls.push({ service, metadata: call.metadata, deadline: call.getDeadline() })
      const state = SERVICES[service]
      if (state === undefined) answer({ code: status.NOT_FOUND, details: 'unknown service' })
      else answer(null, Buffer.from([0x08, state]))
    }
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error)
    )
  })
  t.after(() => server.forceShutdown())
  return { url: `http://127.0.0.1:${port}`, calls, server }
}

function check(url: string, more: Active = {}): Promise<string> {
  const active: Active = { type: 'grpc', ...more }
  const { users } = parseOptions({ upstreams: { users: { health: { active } } } }).upstreams
  assert.ok(users?.health.active !== undefined)
  const probe = createProbe(users.health.active, users)
  return new Promise((resolve) => {
    probe(new Target({ url }), (failure) => resolve(failure ?? 'fine'))
  })
}

test('a gRPC server is asked for the health of all of it, or of one service', async (t) => {
  const { url, calls } = await startHealthServer(t)

  const results = [
    await check(url),
    await check(url, { service: 'shop.Orders', headers: { authorization: 'Bearer abc' }, timeout: '4s' }),
    await check(url, { service: 'shop.Stock' }),
    await check(url, { service: 'shop.Odd' }),
    await check(url, { service: 'shop.Unknown' })
  ]

  assert.deepEqual(results, ['fine', 'fine', 'NOT_SERVING', 'status 7', 'grpc-status 5'])
  assert.deepEqual(
    calls.map(({ service }) => service),
    ['', 'shop.Orders', 'shop.Stock', 'shop.Odd', 'shop.Unknown']
  )
  assert.deepEqual(calls[1]?.metadata.get('authorization'), ['Bearer abc'])
  assert.equal(Number.isFinite(Number(calls[1]?.deadline)), true)
})

test('a gRPC server without the health service has failed', async (t) => {
  const server = new Server()
  const port = await new Promise<number>((resolve) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, bound) => resolve(bound))
  })
  t.after(() => server.forceShutdown())

  assert.equal(await check(`http://127.0.0.1:${port}`), 'grpc-status 12')
})

test('what is no gRPC server has failed', async (t) => {
  const { url: http1 } = await startTarget(t, (_request, response) => void response.end())
  const { url: http2 } = await startHttp2Target(t, (stream) => {
    stream.respond()
    stream.end('hello')
  })
  const { url: refusing } = await startHttp2Target(t, (stream) => {
    stream.respond({ ':status': 503 })
    stream.end()
  })
  const { url: garbled } = await startHttp2Target(t, (stream) => {
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end('hello')
  })

  assert.notEqual(await check(http1), 'fine')
  assert.equal(await check(http2), 'no grpc-status')
  assert.equal(await check(refusing), 'status 503')
  assert.equal(await check(garbled), 'the answer is malformed')
})

test('requests are those of grpc.health.v1', () => {
  assert.equal(encodeHealthRequest('').toString('hex'), '0000000000')
  assert.equal(encodeHealthRequest('ab').toString('hex'), '0000000004' + '0a026162')
  // A length of more than 127 takes two bytes.
  assert.equal(encodeHealthRequest('a'.repeat(200)).subarray(0, 8).toString('hex'), '00000000cb' + '0ac801')
})

const responses: [string, string | undefined][] = [
  ['0000000000', 'UNKNOWN'],
  ['00000000020801', 'SERVING'],
  ['00000000020802', 'NOT_SERVING'],
  ['00000000020803', 'SERVICE_UNKNOWN'],
  // The last one of repeated fields counts; fields that are not known are passed over.
  ['000000000408020801', 'SERVING'],
  ['000000000612026869' + '0801', 'SERVING'],
  ['00000000071d000000000801', 'SERVING'],
  ['000000000b1900000000000000000801', 'SERVING'],
  // Compressed, cut off, too long, without end.
  ['01000000020801', undefined],
  ['000000000308', undefined],
  ['0000000002080100', undefined],
  ['000000000108', undefined],
  ['0000000003127f00', undefined],
  ['00000000010f', undefined],
  ['00', undefined]
]

for (const [hex, found] of responses) {
  test(`the response ${hex} is ${found ?? 'malformed'}`, () => {
    assert.equal(decodeHealthResponse(Buffer.from(hex, 'hex')), found)
  })
}
