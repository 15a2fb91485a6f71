import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { temporaryFolder } from './diagnostics-helper.ts'

const CLI = fileURLToPath(new URL(`../plugins/diagnostics/cli${extname(import.meta.filename)}`, import.meta.url))

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function run(args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [CLI, ...args], (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr })
    })
  })
}

function write(t: TestContext, content: string | Uint8Array): string {
  const path = join(temporaryFolder(t), 'artifact')
  writeFileSync(path, content)
  return path
}

const frame = {
  function: 'price',
  url: 'file:///app/price.js',
  line: 12,
  column: 5,
  source: [
    { line: 11, text: 'let total = 0' },
    { line: 12, text: 'for (;;) total++ // \u001b[31m' }
  ],
  locals: [
    { name: 'order', type: 'Object', value: 'Object', properties: [{ name: 'id', type: 'number', value: '7' }] }
  ],
  closure: [{ name: 'greeter', type: 'Greeter', value: 'Greeter' }]
}

test('a stack: backtrace, source with the line marked, variables; nothing that a terminal would obey', async (t) => {
  const path = write(t, JSON.stringify({ idle: false, error: 'Error: no such order', frames: [frame] }))

  const { stdout, code } = await run(['diagnose', path])

  assert.equal(code, 0)
  assert.equal(
    stdout,
    `Error: no such order

#0  price at /app/price.js:12:5

#0  price at /app/price.js:12:5
      11: let total = 0
=>    12: for (;;) total++ // ?[31m
  locals:
    order = Object
      id = 7
  closure:
    greeter = Greeter
`
  )
})

test('an idle stack says so', async (t) => {
  const { stdout } = await run(['diagnose', write(t, JSON.stringify({ idle: true, frames: [] }))])

  assert.equal(stdout, 'The main thread was idle: it ran nothing.\n')
})

test('a report of Node.js: the error with its causes, and source lines of files that are there', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(folder, { recursive: true })
  const source = join(folder, 'app.mjs')
  writeFileSync(source, 'one\ntwo\nthrow new Error()\nfour\n')
  const report = {
    header: { trigger: 'Exception', processId: 7, nodejsVersion: 'v20.0.0', dumpEventTime: '2026-11-22T10:00:00Z' },
    error: { name: 'Error', message: 'no order', code: 'ORDER', cause: { name: 'Error', message: 'full' } },
    javascriptStack: {
      message: 'Error: no order',
      stack: [`at boom (file://${source}:3:7)`, 'at node:internal/x:1:2']
    },
    javascriptHeap: { usedMemory: 1536, memoryLimit: 2 * 1024 ** 2 },
    resourceUsage: { rss: 1024, userCpuSeconds: 1, kernelCpuSeconds: 2 },
    libuv: [{ type: 'tcp' }, { type: 'timer' }, { type: 'tcp' }]
  }

  const { stdout } = await run(['diagnose', write(t, JSON.stringify(report))])

  for (const line of [
    'Exception of process 7, Node.js v20.0.0, 2026-11-22T10:00:00Z',
    'error: Error: no order (ORDER)',
    'caused by: Error: full',
    `  at boom (file://${source}:3:7)`,
    '    =>    3: throw new Error()',
    'heap: 1.5 KiB used of 2.0 MiB',
    'handles: 2 tcp, 1 timer'
  ]) {
    assert.ok(stdout.split('\n').includes(line), line)
  }
})

test('a CPU profile: time in functions themselves and with what they call, recursion counted once', async (t) => {
  const call = (functionName: string, url = '') => ({ functionName, url, lineNumber: 9 })
  const profile = {
    nodes: [
      { id: 1, callFrame: call('(root)'), children: [2] },
      { id: 2, callFrame: call('outer', 'file:///a.js'), children: [3] },
      { id: 3, callFrame: call('inner', 'file:///a.js'), children: [4] },
      { id: 4, callFrame: call('outer', 'file:///a.js') }
    ],
    samples: [2, 3, 4, 4],
    timeDeltas: [0, 1000, 2000, 1000]
  }

  const { stdout } = await run(['diagnose', write(t, JSON.stringify(profile)), '--rows', '2'])

  assert.equal(
    stdout,
    `4 ms, 4 samples

   total     self
 100.0 %   50.0 %  ####################  outer /a.js:10
  75.0 %   50.0 %  ###############       inner /a.js:10
`
  )
})

/** Nodes: root, a function, its context, the object there, and the text of a property. */
const SNAPSHOT = JSON.stringify({
  snapshot: {
    meta: {
      node_fields: ['type', 'name', 'id', 'self_size', 'edge_count'],
      node_types: [['object', 'closure', 'string']],
      edge_fields: ['type', 'name_or_index', 'to_node'],
      edge_types: [['context', 'element', 'property', 'internal']]
    }
  },
  nodes: [1, 0, 1, 64, 1, 0, 1, 2, 32, 1, 0, 2, 3, 2048, 2, 2, 3, 4, 24, 0],
  edges: [3, 4, 5, 0, 5, 10, 2, 6, 15, 1, 0, 15],
  strings: ['indexHandler', 'system / Context', 'Greeter', 'hello-world-service', 'context', 'greeter', 'name']
})

test('a heap snapshot: the largest classes', async (t) => {
  const { stdout } = await run(['diagnose', write(t, gzipSync(SNAPSHOT))])

  assert.match(stdout, /^4 objects, 2\.1 KiB\n\n {4}count {8}bytes {2}class\n {8}1 {6}2\.0 KiB {2}Greeter\n/)
})

test('a heap snapshot: variables of a function, objects of a class, or that there are none', async (t) => {
  const path = write(t, SNAPSHOT)

  const [closure, object, none] = [
    await run(['diagnose', path, '--closure', 'indexHandler']),
    await run(['diagnose', path, '--class', 'Greeter']),
    await run(['diagnose', path, '--closure', 'nothing'])
  ]

  const greeter = 'Greeter\n    name = "hello-world-service"\n    [0] = "hello-world-service"\n'
  assert.equal(closure.stdout, `indexHandler closes over\n  greeter = ${greeter}`)
  assert.equal(object.stdout, `1 of class Greeter\n\n${greeter.replaceAll('    ', '  ')}`)
  assert.equal(none.stdout, 'No function is called nothing.\n')
})

for (const { name, args } of [
  { name: 'no command', args: [] },
  { name: 'no file', args: ['diagnose'] },
  { name: 'two files', args: ['diagnose', 'a', 'b'] },
  { name: 'rows that are no number', args: ['diagnose', 'a', '--rows', 'x'] }
]) {
  test(`a wrong use (${name}) shows the right one`, async () => {
    const { code, stdout, stderr } = await run(args)

    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /^Usage: fastify-gateway diagnose FILE/)
  })
}

test('a file that is something else is told, in one line', async (t) => {
  const none = /^fastify-gateway: \S+ is neither a report, a stack, a CPU profile nor a heap snapshot\n$/
  const cases = [
    { file: write(t, 'no JSON'), expected: none },
    { file: write(t, ''), expected: none },
    { file: write(t, '{}'), expected: none },
    { file: write(t, '[]'), expected: none },
    { file: write(t, '\x7fELF and so on'), expected: /^fastify-gateway: \S+ is a core or a program: for gdb.*\n$/ },
    { file: write(t, gzipSync(SNAPSHOT).subarray(0, 40)), expected: /^fastify-gateway: \S+ cannot be read: .+\n$/ },
    { file: temporaryFolder(t), expected: /^fastify-gateway: EISDIR.+\n$/ },
    { file: join(temporaryFolder(t), 'missing'), expected: /^fastify-gateway: ENOENT.+\n$/ }
  ]

  for (const { file, expected } of cases) {
    const { code, stderr } = await run(['diagnose', file])
    assert.equal(code, 1)
    assert.match(stderr, expected)
  }
})

test('the command of the package is this one', () => {
  const { bin }: { bin: Record<string, string> } = JSON.parse(readFileSync('package.json', 'utf8'))

  assert.deepEqual(bin, { 'fastify-gateway': './dist/plugins/diagnostics/cli.js' })
  assert.match(readFileSync('plugins/diagnostics/cli.ts', 'utf8'), /^#!\/usr\/bin\/env node\n/)
})
