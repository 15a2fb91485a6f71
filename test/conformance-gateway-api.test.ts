import assert from 'node:assert/strict'
import { Agent } from 'node:https'
import { after, before, type TestContext, test } from 'node:test'
import cors, { type FastifyCorsOptions } from '@fastify/cors'
import Fastify, { type FastifyInstance } from 'fastify'
import { type GatewayOptions, parseOptions } from '../plugins/config/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { conforms, differs } from './conformance-helper.ts'
import { type Reply, send, startGateway } from './forwarding-helper.ts'
import { type Backends, type Echo, startBackends } from './gateway-api-backends.ts'
import { type Cors, type Manifest, type Served, translate } from './gateway-api-helper.ts'
import { fixture, portOf } from './helper.ts'
import { sendHttp2, startHttp2Gateway } from './http2-helper.ts'
import { startHttp2Target } from './http2-transport-helper.ts'
import { seededRandom } from './route-helper.ts'
import { echo, startWebSocketTarget, WebSocketClient } from './upgrade-helper.ts'

type Headers = Record<string, string>

/** A request and what must come of it, named after the Go code: the status is 200 and the request arrives, if not said. */
interface Row {
  name?: string
  gateway?: string
  port?: number
  request: { method?: string; host?: string; path: string; headers?: Headers }
  /** Headers that the backend is told to answer with. */
  targetHeaders?: Headers
  status: number | number[]
  /** The status of ours, where it is none of those, and the reason. */
  instead?: number
  why?: string
  backend?: string
  reaches?: false
  sent?: { path?: string; host?: string; headers?: Headers; absent?: string[] }
  answered?: { headers?: Headers; oneOf?: Record<string, string[]>; absent?: string[] }
  redirect?: { scheme?: string; host?: string; port?: string; path?: string }
  /** Part of each backend in many requests. */
  shares?: Record<string, number>
  /** Header that holds the name of the backend. */
  echoes?: string
}

interface Suite {
  test: string
  docs: Manifest[]
  rows: Row[]
}

const { gateways, tests } = fixture<{ gateways: Manifest[]; tests: Suite[] }>('gateway-api.json')
const certificate = fixture<{ cert: string; key: string }>('localhost-tls.json')
const agent = new Agent({ rejectUnauthorized: false })
let backends: Backends

before(async () => {
  backends = await startBackends()
})
after(() => backends.close())

// Those that wait for timeouts and backoff do so at the same time.
const waiting = tests.filter(({ docs }) => /"(timeouts|retry)":/.test(JSON.stringify(docs)))

for (const suite of tests) {
  if (!waiting.includes(suite)) test(`Gateway API ${suite.test}`, (t) => run(t, suite))
}

test('Gateway API, what takes its time', { concurrency: true }, async (t) => {
  await Promise.all(waiting.map((suite) => t.test(suite.test, { concurrency: true }, (t) => run(t, suite))))
})

async function run(t: TestContext, { docs, rows }: Suite): Promise<void> {
  if (rows.some(({ shares }) => shares !== undefined)) t.mock.method(Math, 'random', seededRandom(1))
  const running = new Map<Served, FastifyInstance>()
  for (const place of translate([...gateways, ...docs], backends.targetsOf)) running.set(place, await start(t, place))

  await Promise.all(
    rows.map((row, i) =>
      t.test(row.name ?? `${i + 1}: ${row.request.host ?? ''}${row.request.path}`, async () => {
        const [place, app] = find(running, row)
        if (row.shares === undefined) check(row, place, portOf(app.server), await ask(row, place, app))
        else await checkShares(row, row.shares, () => ask(row, place, app))
      })
    )
  )
}

async function start(t: TestContext, { secure, routes, upstreams, cors: policies }: Served): Promise<FastifyInstance> {
  const options = { forceCloseConnections: true, ...(secure ? { https: certificate } : {}) }
  const app: FastifyInstance = Fastify(options)
  if (policies.length > 0) {
    await app.register(cors, {
      delegator: (request, done) => {
        const policy = policies.find(({ prefix }) => request.url === prefix || request.url.startsWith(`${prefix}/`))
        done(null, policy === undefined ? { origin: false } : toCorsOptions(policy.policy, request.headers))
      }
    })
  }
  await app.register(proxy, { routes, upstreams })
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app
}

function toCorsOptions(
  { allowOrigins, allowMethods, allowHeaders, exposeHeaders, allowCredentials = false, maxAge }: Cors,
  headers: NodeJS.Dict<string | string[]>
): FastifyCorsOptions {
  const any = (list: readonly string[]) => list.includes('*')
  const origins = allowOrigins.map((origin) =>
    origin.includes('*') ? new RegExp(`^${origin.replaceAll('.', '\\.').replace('*', '.+')}$`) : origin
  )
  const options: FastifyCorsOptions = {
    origin: any(allowOrigins) ? (allowCredentials ? true : '*') : origins,
    // With credentials, `*` is no wildcard but a name.
    methods: any(allowMethods) ? String(headers['access-control-request-method'] ?? '*') : allowMethods,
    credentials: allowCredentials
  }
  if (allowHeaders !== undefined && !any(allowHeaders)) options.allowedHeaders = allowHeaders
  if (exposeHeaders !== undefined) options.exposedHeaders = exposeHeaders
  if (maxAge !== undefined) options.maxAge = maxAge
  return options
}

function find(running: ReadonlyMap<Served, FastifyInstance>, { gateway, port }: Row): [Served, FastifyInstance] {
  const found = [...running].find(
    ([place]) => (gateway ?? place.gateway) === place.gateway && (port ?? place.port) === place.port
  )
  assert.ok(found !== undefined)
  return found
}

function ask({ request, targetHeaders = {} }: Row, { secure }: Served, app: FastifyInstance): Promise<Reply> {
  const { method = 'GET', host, path, headers = {} } = request
  const set = Object.entries(targetHeaders).map(([name, value]) => `${name}:${value}`)
  const sent: Headers = { ...headers, 'X-Echo-Set-Header': set.join(',') }
  if (host !== undefined) sent.Host = host
  const options = { method, path, headers: sent }
  return send(portOf(app.server), secure ? { ...options, protocol: 'https:', agent } : options)
}

function check(row: Row, place: Served, port: number, reply: Reply): void {
  const expected = row.instead ?? row.status
  assert.ok([expected].flat().includes(reply.status), `${reply.status}: ${reply.body}`)
  checkHeaders(reply.headers, row.answered)
  if (row.redirect !== undefined) checkRedirect(row, row.redirect, place, port, reply)
  else if (row.reaches === false) assert.equal(reply.body.length, 0)
  else if (reply.status === 200) checkArrival(row, JSON.parse(reply.body.toString()))
}

function checkArrival({ request, backend, sent: told }: Row, got: Echo): void {
  const sent = told ?? { headers: request.headers ?? {} }
  if (backend !== undefined) assert.equal(got.backend, backend)
  assert.equal(got.method, request.method ?? 'GET')
  assert.equal(got.url, sent.path ?? request.path)
  const host = sent.host ?? request.host
  if (host !== undefined) assert.deepEqual(got.headers.host, [host])
  checkHeaders(got.headers, sent)
}

function checkHeaders(got: NodeJS.Dict<string | string[]>, expected: Row['answered'] = {}): void {
  // The suite compares without white space where an answer may spell a list in several ways.
  const spell = (value: string | string[] | undefined) => [value].flat().join(',').replaceAll(' ', '')
  const textOf = (name: string) => spell(got[name.toLowerCase()])
  for (const [name, value] of Object.entries(expected.headers ?? {})) assert.equal(textOf(name), spell(value))
  for (const [name, values] of Object.entries(expected.oneOf ?? {})) {
    assert.ok(values.map(spell).includes(textOf(name)), `${name}: ${got[name]}`)
  }
  for (const name of expected.absent ?? []) assert.equal(got[name.toLowerCase()], undefined)
}

function checkRedirect(
  { request }: Row,
  expected: NonNullable<Row['redirect']>,
  place: Served,
  port: number,
  { headers, body }: Reply
): void {
  const location = new URL(headers.location ?? '')
  const usual = location.protocol === 'https:' ? '443' : '80'
  // Our listener has another port than that of the manifest.
  const declared = location.port === String(port) ? String(place.port) : location.port

  assert.equal(body.length, 0)
  assert.equal(location.protocol, `${expected.scheme ?? (place.secure ? 'https' : 'http')}:`)
  assert.equal(location.hostname, expected.host ?? request.host ?? '127.0.0.1')
  assert.equal(declared === '' ? usual : declared, expected.port ?? usual)
  assert.equal(location.pathname, expected.path ?? request.path)
}

async function checkShares({ echoes }: Row, shares: Record<string, number>, send: () => Promise<Reply>): Promise<void> {
  const count = 300
  const seen = new Map<string, number>()
  for (let i = 0; i < count; i++) {
    const { backend, headers }: Echo = JSON.parse((await send()).body.toString())
    seen.set(backend, (seen.get(backend) ?? 0) + 1)
    if (echoes !== undefined) assert.deepEqual(headers[echoes.toLowerCase()], [backend])
  }

  for (const [backend, share] of Object.entries(shares)) {
    const actual = (seen.get(backend) ?? 0) / count
    assert.ok(share === 0 ? actual === 0 : Math.abs(actual - share) < 0.1, `${backend} got ${actual}`)
  }
}

differs(
  'HTTPRouteInvalidNonExistentBackendRef, HTTPRouteInvalidBackendRefUnknownKind, HTTPRouteNoBackendRefs',
  'a route whose backend does not exist, or that has none, does not start',
  'the suite has it answer 500; here no request ever meets a configuration that has a fault',
  () => {
    for (const route of [{ upstream: 'nonexistent' }, { upstream: [] }, {}]) {
      const options: unknown = { upstreams: { known: {} }, routes: [route] }

      assert.throws(() => parseOptions(options as GatewayOptions), { code: 'FST_GATEWAY_INVALID_CONFIG' })
    }
  }
)

conforms(
  'HTTPRouteBackendProtocolH2C',
  'a client and a backend that both speak HTTP/2 with prior knowledge',
  async (t) => {
    const target = await startHttp2Target(t, (stream, fields) => {
      stream.respond({ ':status': 200 })
      stream.end(String(fields[':path']))
    })
    const gateway = await startHttp2Gateway(t, [target.url], { upstream: { http2: true } })

    const { status, body } = await sendHttp2(gateway.connect(), { ':path': '/' })

    assert.deepEqual([status, body.toString()], [200, '/'])
  }
)

conforms('HTTPRouteBackendProtocolWebSocket', 'a backend that echoes a text and a binary message', async (t) => {
  const target = await startWebSocketTarget(t, echo)
  const gateway = await startGateway(t, [target.url])
  const client = await new WebSocketClient(t, gateway.port, '/ws').open()

  client.socket.send('Websocket Support!')
  await client.next()
  client.socket.send(Buffer.from([1, 2, 3, 4, 5, 6, 7]))
  await client.next()

  assert.deepEqual(client.messages, [
    { data: Buffer.from('Websocket Support!'), binary: false },
    { data: Buffer.from([1, 2, 3, 4, 5, 6, 7]), binary: true }
  ])
})
