import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import proxy from '../plugins/proxy/index.ts'
import { compileTrust } from '../plugins/proxy/trust.ts'
import { pick, send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

const NAMES = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port', 'forwarded']
const CLAIMS = ['192.0.2.1', 'https', 'www.test', '8443', 'for=192.0.2.1']
const claimed = Object.fromEntries(NAMES.map((name, i) => [name, CLAIMS[i]]))

/** The forwarding headers that a target gets from a gateway on a unix socket. */
async function askByUnixSocket(t: TestContext, trustedProxies: string[]): Promise<string[][]> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const target = await startTarget(t, ({ rawHeaders }, response) => response.end(JSON.stringify(rawHeaders)))
  const app = Fastify({ forceCloseConnections: true })
  await app.register(proxy, {
    upstreams: { users: { targets: [target.url] } },
    routes: [{ upstream: 'users' }],
    trustedProxies
  })
  t.after(() => app.close())
  const socketPath = join(folder, 'gateway.sock')
  await app.listen({ path: socketPath })

  const reply = await send(0, { socketPath, headers: { host: 'gw.test', ...claimed } })

  const raw: string[] = JSON.parse(reply.body.toString())
  return NAMES.map((name) => pick(raw, name))
}

test('a peer of a unix socket is a stranger, unless `unix` is trusted', async (t) => {
  assert.deepEqual(await askByUnixSocket(t, ['loopback']), [[], ['http'], ['gw.test'], [], []])
  assert.deepEqual(
    await askByUnixSocket(t, ['loopback', 'unix']),
    CLAIMS.map((claim) => [claim])
  )
})

test('`unix` is the peer, and never an address that a peer names', () => {
  const trust = compileTrust(['unix', '10.0.0.0/8'])

  assert.deepEqual([trust('', 0), trust('', 1), trust('unknown', 0), trust('10.0.0.1', 3)], [true, false, false, true])
})

test('lines and lists that a trusted proxy sends stay in their order; a stranger has none', async (t) => {
  const target = await startTarget(t, ({ rawHeaders }, response) => response.end(JSON.stringify(rawHeaders)))
  const headers = { 'x-forwarded-for': ['192.0.2.1, 2001:db8::1', 'unknown'] }
  const trusting = await startGateway(t, [target.url], { options: { trustedProxies: ['127.0.0.0/8'] } })
  const distrusting = await startGateway(t, [target.url], { options: { trustedProxies: ['10.0.0.0/8'] } })

  const replies = await Promise.all([trusting, distrusting].map(({ port }) => send(port, { headers })))

  assert.deepEqual(
    replies.map(({ body }) => pick(JSON.parse(body.toString()), 'x-forwarded-for')),
    [['192.0.2.1, 2001:db8::1, unknown, 127.0.0.1'], ['127.0.0.1']]
  )
})
