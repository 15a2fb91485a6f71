import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Fastify from 'fastify'
import { parseOptions } from '../plugins/config/index.ts'
import { Artifacts } from '../plugins/diagnostics/artifacts.ts'
import diagnostics, { type Artifact, type Taken } from '../plugins/diagnostics/index.ts'
import { ask, filesOf, readArtifact, startProgram, TOKEN, take, temporaryFolder } from './diagnostics-helper.ts'

test('without being enabled, the plugin does nothing', async () => {
  const app = Fastify()
  const listeners = process.listenerCount('SIGUSR2')
  await app.register(diagnostics, { token: TOKEN })
  await app.ready()

  assert.equal(app.diagnostics, undefined)
  assert.equal(process.listenerCount('SIGUSR2'), listeners)
  await app.close()
})

test('within an application: the decorator takes and lists, and closing leaves nothing behind', async (t) => {
  const app = Fastify()
  const hooks = () => ['SIGUSR2', 'uncaughtExceptionMonitor'].map((event) => process.listenerCount(event))
  const settings = () => JSON.stringify([process.report?.directory, process.report?.reportOnFatalError])
  const before = [hooks(), settings()]
  await app.register(diagnostics, { enabled: true, token: TOKEN, port: 0, minFree: 0, directory: temporaryFolder(t) })
  assert.ok(app.diagnostics)
  assert.notDeepEqual([hooks(), settings()], before)

  const taken = await app.diagnostics.take('report')
  await assert.rejects(app.diagnostics.take('report'), { code: 'FST_GATEWAY_DIAGNOSTICS_INTERVAL', statusCode: 429 })
  await assert.rejects(app.diagnostics.take('cpu-profile', { seconds: 61 }), { statusCode: 400 })
  const listed = app.diagnostics.list()
  const { address } = app.diagnostics
  await app.close()

  assert.deepEqual(
    listed.map(({ name, kind, reason }) => ({ name, kind, reason })),
    [{ name: taken.name, kind: 'report', reason: 'manual' }]
  )
  assert.deepEqual([hooks(), settings()], before)
  await assert.rejects(fetch(address))
})

test('two in one process are one too many', async (t) => {
  const options = { enabled: true, token: TOKEN, port: 0, directory: temporaryFolder(t) }
  const [first, second] = [Fastify(), Fastify()]
  t.after(() => first.close())
  await first.register(diagnostics, options)
  await first.ready()
  second.register(diagnostics, options)

  await assert.rejects(async () => second.ready(), { code: 'FST_GATEWAY_DIAGNOSTICS_UNAVAILABLE' })
})

test('two that start at once in one process are one too many', async (t) => {
  const options = { enabled: true, token: TOKEN, port: 0, directory: temporaryFolder(t) }
  const apps = [Fastify(), Fastify()]
  t.after(() => Promise.all(apps.map((app) => app.close())))
  for (const app of apps) app.register(diagnostics, options)

  const results = await Promise.allSettled(apps.map(async (app) => app.ready()))

  assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

test('a port in use and a folder that is none stop the start', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), '')
  symlinkSync(folder, join(folder, 'link'))
  const program = await startProgram(t)
  const port = Number(new URL(program.diagnostics).port)

  for (const options of [
    { port, directory: folder },
    { directory: join(folder, 'file') },
    { directory: join(folder, 'link') }
  ]) {
    const app = Fastify()
    app.register(diagnostics, { enabled: true, token: TOKEN, port: 0, ...options })
    await assert.rejects(async () => app.ready(), { code: 'FST_GATEWAY_DIAGNOSTICS_UNAVAILABLE' })
  }
})

const faults = [
  { options: { enabled: true }, message: /options\.diagnostics\.token: found nothing, expected at least 32/ },
  { options: { token: 'short' }, message: /options\.diagnostics\.token: found 5 characters, expected at least 32/ },
  {
    options: { host: '0.0.0.0' },
    message: /options\.diagnostics\.host: found '0\.0\.0\.0', expected a loopback address/
  },
  { options: { port: 70_000 }, message: /options\.diagnostics\.port: found 70000, expected a port/ }
]
for (const { options, message } of faults) {
  test(`the configuration ${JSON.stringify(options)} is refused`, () => {
    assert.throws(() => parseOptions({ diagnostics: options }), message)
  })
}

test('the guards: socket address, token, path, limits', async (t) => {
  const program = await startProgram(t, { minInterval: '1h' })
  const status = async (path: string, init: RequestInit = {}) => (await ask(program, path, init)).status
  const post = { method: 'POST' }

  const strangers = [
    {},
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: TOKEN },
    { authorization: `Basic ${btoa(`a:${TOKEN}`)}` }
  ]
  for (const headers of strangers) {
    const response = await fetch(`${program.diagnostics}/report`, { ...post, headers })
    assert.equal(response.status, 401)
    assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/)
  }
  assert.equal(await status('/report'), 400)
  assert.equal(await status('/nothing', post), 400)
  assert.equal(await status('/report/more/and/more', post), 400)
  assert.equal(await status('/cpu-profile?seconds=0', post), 400)
  assert.equal(await status('/cpu-profile?seconds=61', post), 400)
  assert.equal(await status('/stack?timeoutMs=x', post), 400)
  assert.equal(await status('/report', post), 201)
  const tooSoon = await ask(program, '/stack', post)
  assert.equal(tooSoon.status, 429)
  assert.ok(Number(tooSoon.headers.get('retry-after')) > 3_000)
  assert.equal(filesOf(program).length, 1)
})

test('whoever is not on this machine does not even reach the listener', async (t) => {
  const other = Object.values(networkInterfaces())
    .flat()
    .find((found) => found?.family === 'IPv4' && !found.internal)
  const program = await startProgram(t)
  const { port } = new URL(program.diagnostics)

  assert.equal(new URL(program.diagnostics).hostname, '127.0.0.1')
  if (other !== undefined) await assert.rejects(fetch(`http://${other.address}:${port}/artifacts`))
})

test('limits of heap and disk are kept', async (t) => {
  const small = await startProgram(t, { maxHeap: '1mb' })
  const full = await startProgram(t, { minFree: Number.MAX_SAFE_INTEGER })

  const heap = await ask(small, '/heap-snapshot', { method: 'POST' })
  const disk = await ask(full, '/report', { method: 'POST' })

  assert.equal(heap.status, 409)
  assert.match(await heap.text(), /FST_GATEWAY_DIAGNOSTICS_HEAP/)
  assert.equal(disk.status, 507)
  assert.match(await disk.text(), /FST_GATEWAY_DIAGNOSTICS_DISK/)
  assert.deepEqual([...filesOf(small), ...filesOf(full)], [])
})

test('one artifact at a time', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const options = { enabled: true, token: TOKEN, port: 0, minFree: 0, minInterval: 0, directory: temporaryFolder(t) }
  await app.register(diagnostics, options)
  assert.ok(app.diagnostics)

  const results = await Promise.allSettled([app.diagnostics.take('report'), app.diagnostics.take('report')])
  const third = await app.diagnostics.take('report')

  assert.deepEqual(
    results.map((result) => (result.status === 'rejected' ? result.reason.code : result.value.kind)),
    ['report', 'FST_GATEWAY_DIAGNOSTICS_BUSY']
  )
  assert.equal(third.kind, 'report')
})

test('artifacts are files for the own user, can be had and removed, and the oldest go', async (t) => {
  const directory = join(temporaryFolder(t), 'new', 'folder')
  mkdirSync(directory, { recursive: true })
  chmodSync(directory, 0o755)
  const program = await startProgram(t, { directory, maxFiles: 2 })
  const taken: Taken[] = []
  for (let i = 0; i < 3; i++) taken.push(await take(program, '/report'))
  const [first, second, third] = taken
  assert.ok(first && second && third)

  const listed: Artifact[] = JSON.parse(await (await ask(program, '/artifacts')).text())
  const download = await ask(program, `/artifacts/${second.name}`)
  const content = await download.text()

  assert.deepEqual(
    listed.map(({ name }) => name),
    [second.name, third.name]
  )
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  assert.equal(statSync(join(directory, second.name)).mode & 0o777, 0o600)
  assert.equal(content, readFileSync(join(directory, second.name), 'utf8'))
  assert.equal(download.headers.get('cache-control'), 'no-store')
  assert.equal((await ask(program, `/artifacts/${first.name}`)).status, 404)
  assert.equal((await ask(program, `/artifacts/${second.name}`, { method: 'DELETE' })).status, 204)
  assert.equal((await ask(program, `/artifacts/${second.name}`, { method: 'DELETE' })).status, 404)
})

test('what is too much at the start goes at the start', async (t) => {
  const directory = temporaryFolder(t)
  const artifacts = new Artifacts(directory)
  for (let i = 0; i < 3; i++) artifacts.write('report', 'crash', '{}')

  await startProgram(t, { directory, maxFiles: 2 })

  assert.equal(artifacts.list().length, 2)
})

test('only artifacts can be had, whatever else is in the folder', async (t) => {
  const program = await startProgram(t)
  const { name } = await take(program, '/report')
  writeFileSync(join(program.directory, 'private.json'), '{}')
  const alias = name.replace(/[0-9a-f]{8}\.json$/, '00000000.json')
  symlinkSync('/etc/passwd', join(program.directory, alias))

  for (const path of ['private.json', alias, 'unscrubbed', '..%2f..%2fetc%2fpasswd', `.%2f${name}`, '']) {
    assert.equal((await ask(program, `/artifacts/${path}`)).status, 404)
  }
  assert.deepEqual(
    JSON.parse(await (await ask(program, '/artifacts')).text()).map((artifact: Artifact) => artifact.name),
    [name]
  )
})

test('a report says how the process does', async (t) => {
  const program = await startProgram(t)
  const taken = await take(program, '/report')

  const report = JSON.parse(readArtifact(program, taken))

  assert.equal(report.header.processId, program.child.pid)
  assert.ok(report.javascriptHeap.usedMemory > 0)
  assert.ok(report.libuv.some((handle: { type: string }) => handle.type === 'tcp'))
  assert.equal(report.header.networkInterfaces, undefined)
})
