import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { type TestContext, test } from 'node:test'
import type { MirrorReport } from '../plugins/proxy/index.ts'
import { differJson, parsePointer } from '../plugins/proxy/mirroring/json-difference.ts'
import { eventually, foreignHook, send } from './forwarding-helper.ts'
import { countersOf, startMirrored, startRecording } from './mirror-helper.ts'

const jsonCases: [name: string, primary: unknown, mirror: unknown, ignored: string[], expected: string[]][] = [
  ['equal values', { a: [1, { b: null }] }, { a: [1, { b: null }] }, [], []],
  ['names in another order', { a: 1, b: 2 }, { b: 2, a: 1 }, [], []],
  ['items in another order', [1, 2], [2, 1], [], ['/0 1 2', '/1 2 1']],
  ['a name more and a name less', { a: 1 }, { b: 1 }, [], ['/a 1 undefined', '/b undefined 1']],
  ['another type', { a: [] }, { a: {} }, [], ['/a [] {}']],
  ['null and nothing', { a: null }, {}, [], ['/a null undefined']],
  ['a whole that differs', 1, '1', [], [' 1 "1"']],
  ['names that need escapes', { 'a/b~': 1 }, { 'a/b~': 2 }, [], ['/a~1b~0 1 2']],
  ['an ignored name', { a: 1, b: 1 }, { a: 2, b: 2 }, ['/a'], ['/b 1 2']],
  ['an ignored name in each item', [{ id: 1, n: 1 }, { id: 2 }], [{ id: 8, n: 1 }, { id: 9 }], ['/*/id'], []],
  ['an ignored name deeper than there is', { a: 1 }, { a: 2 }, ['/a/b'], ['/a 1 2']],
  ['an ignored name with a slash', { 'a/b': 1 }, { 'a/b': 2 }, ['/a~1b'], []],
  ['a name that objects have anyway', JSON.parse('{"__proto__":1}'), {}, [], ['/__proto__ 1 undefined']]
]

for (const [name, primary, mirror, ignored, expected] of jsonCases) {
  test(`JSON with ${name}`, () => {
    const found = differJson(primary, mirror, ignored.map(parsePointer), 20)

    assert.deepEqual(
      found.map(({ path, primary, mirror }) => `${path} ${JSON.stringify(primary)} ${JSON.stringify(mirror)}`),
      expected
    )
  })
}

test('JSON is compared to any depth, and up to a number of differences', () => {
  const nested = (depth: number, end: string) => JSON.parse(`${'['.repeat(depth)}${end}${']'.repeat(depth)}`)

  const deep = differJson(nested(50_000, '1'), nested(50_000, '2'), [], 20)
  const many = differJson(Array(1_000).fill(1), Array(1_000).fill(2), [], 20)

  assert.equal(deep[0]?.path.length, 100_000)
  assert.equal(many.length, 20)
})

async function startCompared(
  t: TestContext,
  handlers: readonly RequestListener[],
  compare: object = {},
  hooked = false
) {
  const [primary, shadow] = [
    await startRecording(t, 'primary', handlers[0]),
    await startRecording(t, 'shadow', handlers[1])
  ]
  const lines: string[] = []
  const logger = { level: 'info', stream: { write: (line: string) => lines.push(line) } }
  const gateway = await startMirrored(
    t,
    primary.url,
    shadow.url,
    { compare },
    {
      server: { logger },
      prepare: (app) => {
        if (hooked) foreignHook(app)
      }
    }
  )
  const reports: MirrorReport[] = []
  gateway.app.mirrors.on('difference', (report) => reports.push(report))
  return { ...gateway, reports, lines }
}

function json(value: unknown, headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
  }
}

for (const hooked of [false, true]) {
  test(`differences of status, headers and JSON are reported${hooked ? ', with hooks as well' : ''}`, async (t) => {
    const { port, quiet, mirror, reports, lines } = await startCompared(
      t,
      [
        json({ id: 7, name: 'Ada', at: 1 }, { 'x-version': '1' }),
        (_request, response) => {
          response.writeHead(201, { 'content-type': 'application/json', 'X-Version': '2', 'set-cookie': 'a=1' })
          response.end('{ "at": 2, "name": "secret", "id": 7 }')
        }
      ],
      { ignorePaths: ['/at'] },
      hooked
    )

    const reply = await send(port, { path: '/users/7' })
    await quiet()

    assert.equal(reply.body.toString(), '{"id":7,"name":"Ada","at":1}')
    assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1, compared: 1, different: 1 })
    const { requestId = '', ...report } = reports[0] ?? {}
    assert.deepEqual(report, {
      route: 'all',
      upstream: 'users',
      mirror: 'shadow',
      method: 'GET',
      path: '/users/7',
      differences: [
        { at: 'status', path: '', primary: 200, mirror: 201 },
        { at: 'header', path: 'x-version', primary: '1', mirror: '2' },
        { at: 'body', path: '/name', primary: 'Ada', mirror: 'secret' }
      ]
    })
    const line = lines.find((text) => text.includes('mirror answers differently')) ?? '{}'
    assert.deepEqual(JSON.parse(line).differences, ['status', 'header x-version', 'body /name'])
    assert.ok(requestId !== '' && !line.includes('secret'))
    assert.equal(mirror.heldBytes, 0)
  })
}

test('responses that are the same, or differ only in what is ignored, are not reported', async (t) => {
  const { port, quiet, mirror, reports } = await startCompared(
    t,
    [json({ a: 1 }, { 'x-request-id': '1', 'X-Shard': 'a' }), json({ a: 1 }, { 'x-request-id': '2', 'X-Shard': 'b' })],
    { ignoreHeaders: ['X-Request-Id', 'x-shard', 'date'] }
  )

  await send(port)
  await quiet()

  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1, compared: 1 })
  assert.deepEqual(reports, [])
})

for (const { name, handlers, compare, expected, counters } of [
  {
    name: 'bodies that are no JSON are compared byte for byte',
    handlers: ['abc', 'abX'].map(
      (text): RequestListener =>
        (_request, response) =>
          void response.end(text)
    ),
    compare: {},
    expected: ['body byte 2'],
    counters: { compared: 1, different: 1 }
  },
  {
    name: 'what calls itself JSON and is none is compared byte for byte',
    handlers: ['{"a"', '{"a":'].map(
      (text): RequestListener =>
        (_request, response) => {
          response.writeHead(200, { 'content-type': 'application/problem+json; charset=utf-8' }).end(text)
        }
    ),
    compare: {},
    expected: ['body byte 4'],
    counters: { compared: 1, different: 1 }
  },
  {
    name: 'bodies larger than is kept are not compared, headers are',
    handlers: [json('x'.repeat(200)), json('y'.repeat(200), { 'x-a': '1' })],
    compare: { bodyLimit: 100 },
    expected: ['header x-a'],
    counters: { notCompared: 1, different: 1 }
  },
  {
    name: 'compressed bodies that are not the same are not compared',
    handlers: [json(1, { 'content-encoding': 'x' }), json(2, { 'content-encoding': 'x' })],
    compare: {},
    expected: [],
    counters: { notCompared: 1 }
  },
  {
    name: 'with headers and body off, only statuses count',
    handlers: [json(1, { a: '1' }), json(2, { a: '2' })],
    compare: { headers: false, body: false },
    expected: [],
    counters: { compared: 1 }
  }
]) {
  test(name, async (t) => {
    const { port, quiet, mirror, reports } = await startCompared(t, handlers, compare)

    await send(port)
    await quiet()

    const differences = reports.flatMap((report) => report.differences)
    assert.deepEqual(
      differences.map(({ at, path }) => `${at} ${path}`),
      expected
    )
    assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1, ...counters })
  })
}

test('a primary that breaks off is not compared', async (t) => {
  const { port, quiet, mirror, reports } = await startCompared(t, [
    (request, response) => {
      response.writeHead(200, { 'content-length': 9 }).write('abc', () => request.socket.destroy())
    },
    json(1)
  ])

  const reply = await send(port)
  await quiet()

  assert.equal(reply.complete, false)
  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1, notCompared: 1 })
  assert.deepEqual(reports, [])
})

test('a mirror that answers first waits for the primary, and not for long', async (t) => {
  const answers: (() => void)[] = []
  const primary = await startRecording(t, '', (_request, response) => answers.push(() => response.end('{}')))
  const shadow = await startRecording(t, 'shadow')
  const { port, quiet, mirror } = await startMirrored(t, primary.url, shadow.url, { compare: {}, timeout: '200ms' })

  const reply = send(port)
  await eventually(() => answers.length === 1 && mirror.counters.answered === 1, 'the request does not arrive')
  await quiet()
  for (const answer of answers) answer()

  assert.equal((await reply).status, 200)
  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1, notCompared: 1 })
  assert.equal(mirror.heldBytes, 0)
})

test('a listener that throws is logged, and disturbs nobody', async (t) => {
  const { app, port, quiet, lines } = await startCompared(t, [json(1), json(2)])
  app.mirrors.on('difference', () => {
    throw new Error('listener')
  })

  await send(port)
  await quiet()
  await eventually(() => lines.some((line) => line.includes('a listener for differences threw')), 'not logged')

  assert.equal((await send(port)).status, 200)
})

test('what a hook changes in place is no difference', async (t) => {
  const { mirror, port, quiet } = await startMirrored(
    t,
    (await startRecording(t, '', json('abc'))).url,
    (await startRecording(t, '', json('abc'))).url,
    { compare: {} },
    {
      prepare: (app) =>
        app.addHook('onSend', async (_request, _reply, payload) =>
          Buffer.isBuffer(payload) ? payload.fill('x') : payload
        )
    }
  )

  const reply = await send(port)
  await quiet()

  assert.equal(reply.body.toString(), 'xxxxx')
  assert.deepEqual(countersOf(mirror), { sent: 1, answered: 1, compared: 1 })
})
