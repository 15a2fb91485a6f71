import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { HeapGraph } from '../plugins/diagnostics/heap-graph.ts'
import { scrubSnapshot } from '../plugins/diagnostics/heap-snapshot.ts'
import { Scrubber } from '../plugins/diagnostics/secrets.ts'
import { filesOf, type Program, readArtifact, startProgram, TOKEN, take } from './diagnostics-helper.ts'
import { eventually } from './forwarding-helper.ts'

const ENV = {
  PLANTED_PASSWORD: 'planted-environment-8d1f',
  DATABASE_URL: 'postgres://gateway:planted-database-77aa@db.internal:5432/orders',
  QUOTED: 'a "planted-quoted" \\ value'
}
const HEADERS = {
  authorization: 'Bearer planted-authorization-e1c5b7',
  cookie: 'session=planted-cookie-5f3a9c',
  'x-api-key': 'planted-key-44d2e8'
}

function nameOf(program: Pick<Program, 'directory'>, prefix: string): string {
  return filesOf(program).find((name) => name.startsWith(prefix)) ?? ''
}

function hasFile(program: Pick<Program, 'directory'>, prefix: string): boolean {
  return nameOf(program, prefix) !== ''
}

test('no artifact has a secret of the environment or of a request', async (t) => {
  const program = await startProgram(t, { crashLocals: true, blockedAfter: 100 }, ENV, [
    `--title=--token=${ENV.PLANTED_PASSWORD}`
  ])
  assert.equal((await fetch(`${program.url}/remember`, { headers: HEADERS })).status, 200)
  const file = join(program.directory, 'go-on')
  const busy = fetch(`${program.url}/busy`, { headers: { ...HEADERS, 'x-file': file } })
  await eventually(() => hasFile(program, 'blocked-stack-'), 'no stack was taken')

  for (const path of ['/report', '/stack', '/cpu-profile?seconds=1']) await take(program, path)
  writeFileSync(file, '')
  await busy
  await take(program, '/heap-snapshot')
  program.child.kill('SIGUSR2')
  await eventually(() => hasFile(program, 'signal-report-'), 'no report was written')
  await fetch(`${program.url}/throw`, { headers: HEADERS })
  await program.ended()

  const kinds = new Set(filesOf(program).map((name) => /^\w+-(?:cpu-|heap-)?\w+/.exec(name)?.[0]))
  assert.match(readArtifact(program, { name: nameOf(program, 'manual-heap-snapshot') }), /"busyHandler"/)
  for (const kind of ['crash-report', 'crash-stack', 'signal-report', 'manual-heap-snapshot', 'manual-cpu-profile']) {
    assert.ok(kinds.has(kind), kind)
  }
  for (const name of filesOf(program)) {
    const text = readArtifact(program, { name })
    for (const secret of ['planted-', 'db.internal', TOKEN]) {
      const at = text.indexOf(secret)
      assert.equal(at === -1 ? undefined : `${name}: ${text.slice(Math.max(0, at - 80), at + 80)}`, undefined)
    }
  }
})

/** A snapshot of these nodes: kind, name or content, and edges by their names to other nodes. */
function snapshotOf(nodes: readonly (readonly [kind: string, name: string, edges?: readonly Edge[]])[]): string {
  const strings: string[] = []
  const place = (text: string) => (strings.includes(text) ? strings.indexOf(text) : strings.push(text) - 1)
  const kinds = ['array', 'string', 'object', 'code', 'closure', 'concatenated string']
  const types = ['context', 'element', 'property', 'internal']
  const rows = nodes.flatMap(([kind, name, edges = []]) => [kinds.indexOf(kind), place(name), 16, edges.length])
  const edges = nodes.flatMap(([, , list = []]) =>
    list.flatMap(([type, name, to]) => [types.indexOf(type), typeof name === 'number' ? name : place(name), to * 4])
  )
  const meta = {
    node_fields: ['type', 'name', 'self_size', 'edge_count'],
    node_types: [kinds],
    edge_fields: ['type', 'name_or_index', 'to_node'],
    edge_types: [types]
  }
  return JSON.stringify({ snapshot: { meta }, nodes: rows, edges, strings })
}
type Edge = readonly [type: 'context' | 'element' | 'property' | 'internal', name: string | number, to: number]

const snapshot = snapshotOf([
  [
    'object',
    'Greeter',
    [
      ['property', 'name', 1],
      ['property', 'token', 2],
      ['property', 'note', 3],
      ['property', 'password', 13]
    ]
  ],
  ['string', 'a constant of the program'],
  [
    'concatenated string',
    '(concatenated string)',
    [
      ['internal', 'first', 4],
      ['internal', 'second', 5]
    ]
  ],
  ['string', 'written about by a client, who has secret-one'],
  ['string', 'secret-one'],
  ['string', 'secret-two'],
  ['code', '(constant pool)', [['internal', '0', 1]]],
  [
    'array',
    '(object elements)',
    [
      ['internal', '0', 8],
      ['internal', '1', 9]
    ]
  ],
  ['string', 'Cookie'],
  ['string', 'sid=secret-three'],
  [
    'object',
    'Object',
    [
      ['property', 'k3y-4-of-0-client', 1],
      ['property', 'content-type', 1]
    ]
  ],
  [
    'closure',
    'indexHandler',
    [
      ['context', 'greeter', 0],
      ['internal', '5 / part of key (Object @1) -> value (text)', 3]
    ]
  ],
  ['string', 'authorization: Bearer secret-four'],
  ['string', 'short']
])
for (const { keepStrings, kept, gone } of [
  { keepStrings: false, kept: [], gone: ['written about', 'k3y-4-of-0-client'] },
  { keepStrings: true, kept: ['written about by a client, who has [redacted]', 'authorization: [redacted]'], gone: [] }
]) {
  test(`a heap snapshot keeps names and constants, and no secret (keepStrings ${keepStrings})`, () => {
    const { strings } = new HeapGraph(scrubSnapshot(snapshot, new Scrubber({}), keepStrings))

    for (const text of [
      'Greeter',
      'name',
      'a constant of the program',
      'content-type',
      'indexHandler',
      'greeter',
      ...kept
    ]) {
      assert.ok(strings.includes(text), text)
    }
    for (const text of ['secret', 'short', '(text)', ...gone])
      assert.deepEqual(
        strings.filter((found) => found.includes(text)),
        []
      )
  })
}

const texts = [
  { text: 'authorization: Basic dXNlcjpwYXNz', expected: 'authorization: [redacted]' },
  {
    text: 'GET / HTTP/1.1\r\nCookie: a=b; c=d\r\nhost: x',
    expected: 'GET / HTTP/1.1\r\nCookie: [redacted]\r\nhost: x'
  },
  { text: 'https://ann:hidden@example.com/a', expected: 'https://[redacted]@example.com/a' },
  { text: '--token=abc --port=80', expected: '--token=[redacted]' },
  { text: 'sent Bearer abcdef123456 to x', expected: 'sent Bearer [redacted] to x' },
  { text: 'id eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc', expected: 'id [redacted]' },
  { text: 'value known-secret-1 here', expected: 'value [redacted] here' },
  { text: 'nothing of interest, order 7', expected: 'nothing of interest, order 7' }
]
for (const { text, expected } of texts) {
  test(`scrubbed: ${JSON.stringify(text)}`, () => {
    assert.equal(new Scrubber({ KEY: 'known-secret-1', HOME: '/root', NODE_ENV: 'order' }).text(text), expected)
  })
}

test('the time to scrub a text grows no faster than the text, whatever a client made of it', () => {
  const scrubber = new Scrubber({})
  const size = 250_000
  const parts = ['a', 'token', 'token ', 'eyJ-', 'bearer ', 'x://', '://', 'basic x', 'cookie"', 'a@', '"token": ']

  for (const part of parts) scrubber.text(`${part.repeat(size / part.length)} key eyJ`)
})

test('parts of the environment are secrets, too: users and passwords within URLs, and items of lists', () => {
  const scrubber = new Scrubber({
    BROKER: 'amqp://planted-user:planted-word@broker/',
    KEYS: 'first-planted-value, second-planted-value'
  })

  const texts = ['planted-user', 'planted-word', 'first-planted-value', 'second-planted-value']

  for (const text of texts) assert.equal(scrubber.text(`it is ${text}.`), 'it is [redacted].')
})

test('JSON is scrubbed by names, by raw lists of headers, and in depth', () => {
  const scrubber = new Scrubber({ DATABASE_URL: 'postgres://u:p%40ssw0rd@h/d' })

  const clean = scrubber.json({
    environmentVariables: { A: 'b' },
    workers: [{ environmentVariables: { A: 'b' }, argv: ['--password', 'abc', '--name', 'x'] }],
    rawHeaders: ['Host', 'x', 'Cookie', 'a=b'],
    password: 'abc',
    tokens: 3,
    'of p@ssw0rd': 1,
    nested: { note: 'p@ssw0rd and p%40ssw0rd' }
  })

  assert.deepEqual(clean, {
    workers: [{ argv: ['--password', '[redacted]', '--name', 'x'] }],
    rawHeaders: ['Host', 'x', 'Cookie', '[redacted]'],
    password: '[redacted]',
    tokens: 3,
    'of [redacted]': 1,
    nested: { note: '[redacted] and [redacted]' }
  })
})
