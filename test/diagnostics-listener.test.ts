import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { Artifacts } from '../plugins/diagnostics/artifacts.ts'
import type { Jobs } from '../plugins/diagnostics/jobs.ts'
import { createListener } from '../plugins/diagnostics/listener.ts'
import { type Refusal, Refusals } from '../plugins/diagnostics/refusals.ts'
import { TOKEN, temporaryFolder } from './diagnostics-helper.ts'

type Taker = Pick<Jobs, 'take' | 'wait'>

const jobs: Taker = {
  wait: 1_500,
  take: async () => {
    throw new Error('nothing is taken here')
  }
}

/** A connection as it comes from that address. */
class Connection extends Duplex {
  readonly remoteAddress: string | undefined
  answer = ''

  constructor(remoteAddress: string | undefined) {
    super()
    this.remoteAddress = remoteAddress
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.answer += chunk
    done()
  }
}

interface Asked {
  readonly from?: string | undefined
  readonly host?: string | undefined
  readonly token?: string
  readonly path?: string
}

/** The status of the answer. */
async function ask(listener: Server, asked: Asked): Promise<number> {
  const { token = TOKEN, path = '/artifacts' } = asked
  const host = 'host' in asked ? asked.host : 'localhost:9901'
  const connection = new Connection('from' in asked ? asked.from : '127.0.0.1')
  listener.emit('connection', connection)
  const headers = [
    ...(host === undefined ? [] : [`host: ${host}`]),
    `authorization: Bearer ${token}`,
    'x-forwarded-for: 127.0.0.1',
    'connection: close'
  ]
  connection.push(`GET ${path} HTTP/1.${host === undefined ? 0 : 1}\r\n${headers.join('\r\n')}\r\n\r\n`)
  await once(connection, 'finish')
  return Number(/^HTTP\/1\.1 (\d+)/.exec(connection.answer)?.[1])
}

const cases: readonly (Asked & { expected: number })[] = [
  { from: '127.0.0.1', expected: 200 },
  { from: '127.8.9.10', expected: 200 },
  { from: '::1', expected: 200 },
  { from: '::ffff:127.0.0.1', expected: 200 },
  { from: '10.0.0.7', expected: 403 },
  { from: '::ffff:10.0.0.7', expected: 403 },
  { from: '2001:db8::1', expected: 403 },
  { from: '128.127.0.0', expected: 403 },
  { from: undefined, expected: 403 },
  { host: '127.0.0.1:9901', expected: 200 },
  { host: 'localhost', expected: 200 },
  { host: '[::1]:9901', expected: 200 },
  { host: 'attacker.example:9901', expected: 403 },
  { host: '127.0.0.1.attacker.example', expected: 403 },
  { host: 'localhost.attacker.example', expected: 403 },
  { host: undefined, expected: 403 },
  { host: 'attacker.example', token: 'wrong', expected: 403 },
  { token: 'wrong', expected: 401 },
  { token: TOKEN.slice(0, -1), expected: 401 },
  { path: '//', expected: 400 },
  { path: 'http://[/', expected: 400 }
]
for (const { expected, ...asked } of cases) {
  test(`asked with ${JSON.stringify(asked, (_key, value) => value ?? 'none')}, it answers ${expected}`, async (t) => {
    const refused: number[] = []
    const artifacts = new Artifacts(temporaryFolder(t))
    const listener = createListener({ token: TOKEN, jobs, artifacts, onRefused: ({ status }) => refused.push(status) })

    assert.equal(await ask(listener, asked), expected)

    assert.deepEqual(refused, expected === 200 ? [] : [expected])
  })
}

test('of refused requests, one in a second is told, and how many were not', () => {
  let now = 0
  const told: Refusal[] = []
  const refusals = new Refusals(
    (refusal) => told.push(refusal),
    () => now
  )
  const refuse = (path: string) => refusals.add({ status: 401, code: 'CODE', path })

  for (const path of ['/a', '/b', '/c']) refuse(path)
  now = 1_000
  refuse('/d')
  now = 2_000
  refuse('/e')

  assert.deepEqual(
    told.map(({ path, untold }) => [path, untold]),
    [
      ['/a', 0],
      ['/d', 2],
      ['/e', 0]
    ]
  )
})

test('connections and the time for a request have limits, since both are those of the gateway', (t) => {
  const artifacts = new Artifacts(temporaryFolder(t))
  const listener = createListener({ token: TOKEN, jobs, artifacts, onRefused: () => {} })

  assert.equal(listener.maxConnections, 64)
  assert.equal(listener.headersTimeout, 10_000)
  assert.equal(listener.requestTimeout, 10_000)
})
