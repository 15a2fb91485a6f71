import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Running, runGateway } from './app-process-helper.ts'
import { send } from './forwarding-helper.ts'
import { portOf, startTarget } from './helper.ts'
import { startNamed } from './plugin-helper.ts'
import { echo, startWebSocketTarget, WebSocketClient } from './upgrade-helper.ts'
import { SteadyLoad } from './workers-helper.ts'

const TWO = { GATEWAY_PORT: '0', GATEWAY_WORKERS: '2' }

/** Resolves with the process of a worker once it listens. */
async function pidOf(gateway: Running, worker: number): Promise<number> {
  return Number(
    await gateway.printed(new RegExp(`"pid":(\\d+),"hostname":"[^"]*","worker":${worker},"msg":"Server list`))
  )
}

function config(target: string, socketTarget: string): string {
  return JSON.stringify({
    upstreams: { a: { targets: [target] }, sockets: { targets: [socketTarget] } },
    routes: [{ match: { path: '/socket' }, upstream: 'sockets' }, { upstream: 'a' }]
  })
}

test('workers share a port that the system chose, one that dies is replaced, and all stop in peace', async (t) => {
  let arrived = (_response: ServerResponse) => {}
  const waiting = new Promise<ServerResponse>((resolve) => {
    arrived = resolve
  })
  const { url } = await startTarget(t, (request, response) => {
    if (request.url === '/slow') arrived(response)
    else response.end('fast')
  })
  const gateway = runGateway(t, { ...TWO, GATEWAY_TARGETS: url })
  const base = await gateway.listening()
  const [first, second] = [await pidOf(gateway, 1), await pidOf(gateway, 2)]

  process.kill(first, 'SIGKILL')
  const third = await pidOf(gateway, 3)
  const port = Number(new URL(base).port)
  const replies = [await send(port), await send(port), await send(port)]
  const slow = send(port, { path: '/slow' })
  const response = await waiting
  gateway.child.kill('SIGTERM')
  await gateway.printed(/"worker":3,"msg":"stopping"/)
  response.end('late, but whole')
  const [late, end] = await Promise.all([slow, gateway.ended()])

  assert.equal(new Set([first, second, third, gateway.child.pid]).size, 4)
  assert.deepEqual(
    replies.map(({ body }) => String(body)),
    ['fast', 'fast', 'fast']
  )
  assert.equal(String(late.body), 'late, but whole')
  assert.equal(end.code, 0)
  assert.equal(end.stderr, '')
  assert.match(end.stdout, /"worker":1,"workerPid":\d+,"code":null,"signal":"SIGKILL","msg":"a worker died"/)
})

test('SIGHUP replaces the workers, which read the configuration anew, without a request that is lost', async (t) => {
  const [before, after] = [await startNamed(t, 'before'), await startNamed(t, 'after')]
  const sockets = await startWebSocketTarget(t, echo)
  const gateway = runGateway(
    t,
    { ...TWO, GATEWAY_CONFIG: 'gateway.json' },
    { 'gateway.json': config(before, sockets.url) }
  )
  const base = await gateway.listening()
  await pidOf(gateway, 2)
  const load = new SteadyLoad(base, { keeping: 6, renewing: 2 })
  const socket = await new WebSocketClient(t, Number(new URL(base).port), '/socket').open()

  gateway.write('gateway.json', config(after, sockets.url))
  gateway.child.kill('SIGHUP')
  await gateway.printed(/"msg":"restarted"/)
  await Promise.all([1, 2].map((worker) => gateway.printed(new RegExp(`"worker":${worker},.*"a worker has left"`))))
  const { code } = await socket.end()
  const last = await send(Number(new URL(base).port))
  const { bodies, failures } = await load.stop()

  assert.deepEqual(failures, [])
  assert.deepEqual([...bodies.keys()], ['before /', 'after /'])
  assert.equal(String(last.body), 'after /')
  assert.equal(code, 1001)
})

const MISTAKES = [
  {
    name: 'a number of workers that is none',
    variables: { GATEWAY_WORKERS: 'many' },
    stderr:
      "fastify-gateway: Invalid configuration\nGATEWAY_WORKERS: found 'many', expected auto, or a whole number, 1 or more\n"
  },
  {
    name: 'sticky sessions that only one worker would know',
    variables: { ...TWO, GATEWAY_TARGETS: 'http://127.0.0.1:1', GATEWAY_STRATEGY: 'sticky' },
    stderr:
      "fastify-gateway: Balancing strategy 'sticky' is invalid: upstream 'default' needs a secret that all workers know\n"
  }
]

for (const { name, variables, stderr } of MISTAKES) {
  test(`${name}: one message, exit code 1, and no worker is left`, async (t) => {
    const gateway = runGateway(t, variables)

    const end = await gateway.ended()

    assert.equal(end.code, 1)
    assert.equal(end.stderr, stderr)
  })
}

test('a port in use, with workers: one message that names it, exit code 1', async (t) => {
  const { server, url } = await startTarget(t, (_request, response) => response.end())
  const port = String(portOf(server))
  const gateway = runGateway(t, { ...TWO, GATEWAY_PORT: port, GATEWAY_TARGETS: url })

  const end = await gateway.ended()

  assert.equal(end.code, 1)
  assert.equal(end.stderr, `fastify-gateway: 127.0.0.1:${port} is in use by another program; set GATEWAY_PORT\n`)
})

test('workers listen on a unix socket', async (t) => {
  const target = await startNamed(t, 'a')
  const gateway = runGateway(t, { GATEWAY_HOST: 'unix:gateway.sock', GATEWAY_WORKERS: '2', GATEWAY_TARGETS: target })

  const path = await gateway.printed(/"msg":"Server listening at ([^"]+)"/)
  const reply = await send(0, { socketPath: join(gateway.folder, path) })
  gateway.child.kill('SIGTERM')
  const { code } = await gateway.ended()

  assert.equal(path, 'gateway.sock')
  assert.equal(String(reply.body), 'a /')
  assert.equal(code, 0)
})
