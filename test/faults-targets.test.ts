import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type ChaosTarget, startChaosTarget } from './chaos-target.ts'
import { type Fault, faults } from './fault-table.ts'
import { connectionKey, forbidWarnings, nextReply, type RawReply, watchSockets } from './faults-helper.ts'
import { eventually, foreignHook, RawClient, type RunningGateway, startGateway } from './forwarding-helper.ts'
import { freePort, startRawTarget } from './helper.ts'

const NEXT = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnext'
const UPLOAD = 1024 * 1024

interface Case {
  readonly id: string
  readonly method: string
  readonly version: '1.0' | '1.1'
  readonly body: 'none' | 'small' | 'large'
}

const cases: Case[] = []
for (const version of ['1.0', '1.1'] as const) {
  for (const [method, body] of [
    ['GET', 'none'],
    ['PUT', 'small'],
    ['POST', 'small'],
    ['POST', 'large']
  ] as const) {
    cases.push({ id: `${method}-${body}-${version}`, method, version, body })
  }
}

for (const hooked of [false, true]) {
  for (const fault of faults) {
    test(`a target that ${fault.fault}, ${hooked ? 'with an onSend hook' : 'without hooks'}`, async (t) => {
      forbidWarnings(t)
      const sockets = watchSockets(t)
      const targets = [await startTarget(t, fault), await startTarget(t, fault)]
      const { gateway, attempts } = await start(t, fault, targets, hooked)
      const clients = cases.map(() => new RawClient(t, gateway.port))

      const replies = await Promise.all(
        cases.map((one, i) => {
          const client = clients[i] ?? new RawClient(t, gateway.port)
          sendFault(client, one, fault.upload ?? UPLOAD)
          return nextReply(client)
        })
      )
      await gateway.idle()

      for (const [i, reply] of replies.entries()) {
        const one = cases[i]
        const client = clients[i]
        if (one === undefined || client === undefined) continue
        assertReply(reply, fault, one, hooked)
        assertAttempts(targets, attempts, fault, one, hooked)
        await assertKept(targets, sockets, fault, one)
        await assertNext(t, gateway, client, reply, fault, one)
      }
      await gateway.idle()
    })
  }
}

async function startTarget(t: TestContext, { behaviour = {} }: Fault): Promise<ChaosTarget> {
  const target = await startChaosTarget({ fault: behaviour, next: { onEnd: ({ socket }) => socket.write(NEXT) } })
  t.after(target.close)
  return target
}

async function start(
  t: TestContext,
  fault: Fault,
  targets: readonly ChaosTarget[],
  hooked: boolean
): Promise<{ gateway: RunningGateway; attempts: Map<string, number> }> {
  const urls = await Promise.all(targets.map(({ url }) => addressOf(t, fault, url)))
  const attempts = new Map<string, number>()
  const limit = fault.waits ? 150 : 10_000
  const gateway = await startGateway(
    t,
    urls.map((url) => ({ url, maxFails: 0 })),
    {
      upstream: {
        timeouts: { connect: limit, response: limit, idle: limit, total: 0 },
        retry: { backoff: { base: 0, max: 0 } }
      },
      prepare: (app) => {
        app.addHook('onResponse', async ({ url, exchange }) => void attempts.set(url, exchange?.attempts ?? 0))
        if (hooked) foreignHook(app)
      }
    }
  )
  return { gateway, attempts }
}

/** Where the gateway finds a target, in front of which something may be wrong. */
async function addressOf(t: TestContext, { address }: Fault, url: string): Promise<string> {
  if (address === 'refused') return `http://127.0.0.1:${await freePort()}`
  if (address === 'unresolved') return `http://${'x'.repeat(64)}.invalid:${await freePort()}`
  if (address === 'no TLS')
    return (await startRawTarget(t, (socket) => socket.end('no TLS'))).url.replace('http', 'https')
  if (address === 'silent') return (await startRawTarget(t, () => {})).url.replace('http', 'https')
  return url
}

function sendFault(client: RawClient, { id, method, version, body }: Case, upload: number): void {
  const head = `${method} /fault?${id} HTTP/${version}\r\nHost: gw.test\r\n`
  if (body === 'none') client.write(`${head}\r\n`)
  if (body === 'small') client.write(`${head}Content-Length: 4\r\n\r\nbody`)
  if (body !== 'large') return
  const bytes = Buffer.alloc(upload, 'x')
  if (version === '1.0') {
    client.write(`${head}Content-Length: ${upload}\r\n\r\n`)
    client.write(bytes)
  } else {
    client.write(`${head}Transfer-Encoding: chunked\r\n\r\n${upload.toString(16)}\r\n`)
    client.write(bytes)
    client.write('\r\n0\r\n\r\n')
  }
}

function assertReply(
  reply: RawReply,
  { outcome, hooked, uploading }: Fault,
  { id, body }: Case,
  isHooked: boolean
): void {
  const expected = (body === 'large' ? uploading : undefined) ?? (isHooked ? hooked : undefined) ?? outcome
  assert.doesNotMatch(reply.head + reply.body, /127\.0\.0\.1|localhost|ECONN|EPIPE|\.invalid/)
  if (expected === 'cut') {
    assert.deepEqual([reply.status, reply.complete], [200, false], id)
    return
  }
  assert.deepEqual([reply.status, reply.complete], [expected.status, true], `${id}: ${reply.body}`)
  if (expected.body !== undefined) assert.equal(reply.body, expected.body)
  if (expected.code !== undefined) assert.equal(JSON.parse(reply.body).code, expected.code)
}

function assertAttempts(
  targets: readonly ChaosTarget[],
  attempts: ReadonlyMap<string, number>,
  { address, again, hookedAgain = again }: Fault,
  { id, method }: Case,
  isHooked: boolean
): void {
  const asked = isHooked ? hookedAgain : again
  const repeated = asked === 'all' || (asked === 'idempotent' && method !== 'POST')
  const visits = targets.map(({ visits }) => visits.filter(({ url }) => url.search === `?${id}`).length)
  if (address !== undefined) assert.deepEqual([attempts.get(`/fault?${id}`), ...visits], [2, 0, 0])
  else assert.deepEqual(visits.sort(), repeated ? [1, 1] : [0, 1], id)
}

/** Looks at the connections from the side of the gateway, since a target that does not read does not see their end. */
async function assertKept(
  targets: readonly ChaosTarget[],
  sockets: ReadonlyMap<string, Socket>,
  { kept }: Fault,
  { id, body }: Case
): Promise<void> {
  const visits = targets.flatMap((target) => target.visits.map((visit) => ({ ...visit, to: new URL(target.url).port })))
  for (const { url, port, to } of visits) {
    const socket = sockets.get(connectionKey(port, to))
    if (url.search !== `?${id}` || socket === undefined) continue
    if (!kept) await eventually(() => socket.destroyed, `the connection to the target stays open after ${id}`)
    else if (body !== 'large') assert.ok(!socket.destroyed, id)
  }
}

/** The client goes on, on the same connection unless it is over, and on another one. */
async function assertNext(
  t: TestContext,
  gateway: RunningGateway,
  client: RawClient,
  { head, complete }: RawReply,
  { address }: Fault,
  { id, version }: Case
): Promise<void> {
  const next = 'GET /next HTTP/1.1\r\nHost: gw.test\r\n\r\n'
  const over = version === '1.0' || !complete || /\r\nconnection: close\r\n/i.test(`${head}\r\n`)
  if (over) await eventually(() => client.closed !== 'no', `the connection of the client stays open after ${id}`)
  if (address !== undefined) return
  for (const one of over ? [new RawClient(t, gateway.port)] : [client, new RawClient(t, gateway.port)]) {
    one.write(next)
    const { status, body } = await nextReply(one)

    assert.deepEqual([status, body], [200, 'next'], id)
  }
}
