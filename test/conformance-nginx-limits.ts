import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { conforms, conformsEach } from './conformance-helper.ts'
import { eventually, send, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { type RecordingTarget, startRecordingTarget } from './recording-target.ts'

interface Options {
  maxConnections?: number
  backup?: boolean
  weight?: number
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'

/**
 * Sends requests one after the other while the targets answer none of them, and then lets all go. Gives how many each
 * target got, and how many the gateway answered with 503.
 */
async function parallel(
  t: Parameters<typeof startGateway>[0],
  options: Options[],
  requests: number,
  upstream: UpstreamSketch = {}
) {
  const held: Socket[] = []
  const targets: RecordingTarget[] = []
  for (const _ of options) targets.push(await startRecordingTarget(t, (socket) => held.push(socket)))
  const gateway = await startGateway(
    t,
    targets.map(({ url }, i) => ({ url, ...options[i] })),
    { upstream }
  )
  let refused = 0
  const replies = Array.from({ length: requests }, async () => {
    const { status } = await send(gateway.port)
    if (status === 503) refused++
  })
  await eventually(() => held.length + refused === requests, 'a request goes nowhere')
  const counts = targets.map((target) => target.requests.length)
  for (const socket of held) socket.write(OK)
  await Promise.all(replies)
  await gateway.idle()
  return { counts, refused, port: gateway.port, held }
}

conformsEach(
  "upstream_max_conns.t 'unlimited', 'single', 'all peers', 'some peers', 'weight', 'backup', 'backup limited', 'least_conn', 'least_conn backup', 'least_conn backup limited'",
  'a target gets no more requests at a time than it allows, and backups come in when the others are full',
  [
    { options: [{}, {}], requests: 4, counts: [2, 2], refused: 0 },
    { options: [{ maxConnections: 3 }], requests: 4, counts: [3], refused: 1 },
    { options: [{ maxConnections: 1 }, { maxConnections: 1 }], requests: 4, counts: [1, 1], refused: 2 },
    { options: [{ maxConnections: 1 }, {}], requests: 4, counts: [1, 3], refused: 0 },
    { options: [{ maxConnections: 1, weight: 2 }, {}], requests: 4, counts: [1, 3], refused: 0 },
    { options: [{ maxConnections: 2 }, { backup: true }], requests: 6, counts: [2, 4], refused: 0 },
    {
      options: [{ maxConnections: 2 }, { backup: true, maxConnections: 3 }],
      requests: 6,
      counts: [2, 3],
      refused: 1
    }
  ].flatMap((row) => ['smooth-weighted-round-robin', 'least-connections'].map((strategy) => ({ ...row, strategy }))),
  ({ options, strategy }) => `${JSON.stringify(options)} by ${strategy}`,
  async (t, { options, requests, counts, refused, strategy }) => {
    const result = await parallel(t, options, requests, { strategy })

    assert.deepEqual([result.counts, result.refused], [counts, refused])
  }
)

conforms("upstream_max_conns.t 'conn subtraction'", 'a request that has been answered makes room', async (t) => {
  const { port, held } = await parallel(t, [{ maxConnections: 1 }], 2)
  const before = held.length

  const reply = send(port)
  await eventually(() => held.length > before, 'there is no room')
  held.at(-1)?.write(OK)

  assert.equal((await reply).status, 200)
})

conforms(
  "upstream_max_conns.t 'proxy_next_upstream'",
  'a further attempt goes to a target that has room',
  async (t) => {
    const bad = await startRecordingTarget(t, (socket) => socket.destroy())
    const full = await startRecordingTarget(t, () => {})
    const good = await startRecordingTarget(t)
    const gateway = await startGateway(t, [
      { url: full.url, maxConnections: 1 },
      { url: bad.url, maxFails: 0 },
      { url: good.url }
    ])
    const first = send(gateway.port).catch(() => undefined)
    await eventually(() => full.requests.length === 1, 'the first target gets nothing')

    assert.equal((await send(gateway.port)).status, 200)
    assert.deepEqual([full.requests.length, bad.requests.length, good.requests.length], [1, 1, 1])
    await gateway.app.close()
    await first
  }
)
