import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Running, runGateway } from './app-process-helper.ts'
import { startTarget } from './helper.ts'

interface Stage {
  gateway: Running
  base: string
  /** Connection of a client whose request has reached the target, which has not answered yet. */
  client: Socket
  /** Lets the target answer. */
  answer: () => void
}

/** A gateway with one exchange under way. */
async function stage(t: TestContext, variables: Record<string, string> = {}): Promise<Stage> {
  let arrived = (_response: ServerResponse) => {}
  const response = new Promise<ServerResponse>((resolve) => {
    arrived = resolve
  })
  const { url } = await startTarget(t, (_request, response) => arrived(response))
  const gateway = runGateway(t, { GATEWAY_PORT: '0', GATEWAY_TARGETS: url, ...variables })
  const base = await gateway.listening()
  const client = connect(Number(new URL(base).port), '127.0.0.1')
  client.on('error', () => {})
  t.after(() => client.destroy())
  client.write('GET /slow HTTP/1.1\r\nHost: gateway\r\n\r\n')
  const waiting = await response
  return { gateway, base, client, answer: () => waiting.end('late, but whole') }
}

async function readAll(client: Socket): Promise<string> {
  let text = ''
  client.on('data', (chunk: Buffer) => {
    text += chunk
  })
  await once(client, 'close')
  return text
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}: no new connection, the exchange under way ends in peace, exit code 0`, async (t) => {
    const { gateway, base, client, answer } = await stage(t)
    const received = readAll(client)

    gateway.child.kill(signal)
    await gateway.printed(/"msg":"stopping"/)
    const refused = await refusal(base)
    answer()
    const [text, end] = await Promise.all([received, gateway.ended()])

    assert.equal(refused, 'ECONNREFUSED')
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(text, /late, but whole/)
    assert.equal(end.code, 0)
    assert.equal(end.stderr, '')
  })
}

test('GATEWAY_SHUTDOWN_TIMEOUT bounds the wait for exchanges under way', async (t) => {
  const { gateway, client } = await stage(t, { GATEWAY_SHUTDOWN_TIMEOUT: '50ms' })
  const received = readAll(client)

  gateway.child.kill('SIGTERM')
  const [text, end] = await Promise.all([received, gateway.ended()])

  assert.equal(text, '')
  assert.equal(end.code, 0)
  assert.match(end.stdout, /"timeout":50,"msg":"exchanges still under way are cut"/)
})

test('a second signal ends the gateway at once', async (t) => {
  const { gateway, client } = await stage(t, { GATEWAY_SHUTDOWN_TIMEOUT: '10m' })
  const received = readAll(client)

  gateway.child.kill('SIGTERM')
  await gateway.printed(/"msg":"stopping"/)
  gateway.child.kill('SIGTERM')
  const [text, end] = await Promise.all([received, gateway.ended()])

  assert.equal(text, '')
  assert.equal(end.code, 1)
})

test('an idle gateway with connections kept alive stops without waiting for them', async (t) => {
  const { gateway, client, answer } = await stage(t, { GATEWAY_SHUTDOWN_TIMEOUT: '10m' })
  const received = readAll(client)
  answer()
  await once(client, 'data')

  gateway.child.kill('SIGTERM')
  const [text, end] = await Promise.all([received, gateway.ended()])

  assert.match(text, /late, but whole/)
  assert.equal(end.code, 0)
})

/**
 * Tries to connect until that is refused: listening ends a moment after the signal was taken, and a connection that
 * waited to be accepted just then is reset.
 */
async function refusal(base: string): Promise<string> {
  const { port } = new URL(base)
  for (;;) {
    const socket = connect(Number(port), '127.0.0.1')
    const outcome = await new Promise<string>((resolve) => {
      socket.once('connect', () => resolve('connected'))
      socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.message))
    })
    socket.destroy()
    if (outcome !== 'connected' && outcome !== 'ECONNRESET') return outcome
  }
}
