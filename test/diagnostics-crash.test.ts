import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ask, filesOf, type Program, readArtifact, startProgram, temporaryFolder } from './diagnostics-helper.ts'
import { eventually } from './forwarding-helper.ts'

function only(program: Pick<Program, 'directory'>, prefix: string): string {
  const [name = '', ...others] = filesOf(program).filter((found) => found.startsWith(prefix))
  assert.deepEqual(others, [])
  assert.notEqual(name, '')
  return name
}

test('SIGUSR2 writes a report, and the process lives on', async (t) => {
  const program = await startProgram(t, { maxFiles: 1 })
  program.child.kill('SIGUSR2')

  await eventually(() => filesOf(program).length > 0, 'no report was written')

  const report = JSON.parse(readArtifact(program, { name: only(program, 'signal-report-') }))
  assert.equal(report.header.processId, program.child.pid)
  assert.equal(report.header.networkInterfaces, undefined)
  assert.equal((await fetch(`${program.url}/caught`)).status, 418)

  const before = filesOf(program)
  program.child.kill('SIGUSR2')
  await eventually(() => filesOf(program).length === 1 && filesOf(program)[0] !== before[0], 'the oldest has not gone')
})

test('an error nobody catches leaves a report with its code, its properties and its cause; the process dies', async (t) => {
  const program = await startProgram(t)
  await fetch(`${program.url}/throw`)

  const { code } = await program.ended()

  assert.equal(code, 1)
  const report = JSON.parse(readArtifact(program, { name: only(program, 'crash-report-') }))
  assert.equal(report.origin, 'uncaughtException')
  assert.equal(report.error.code, 'ORDER_UNKNOWN')
  assert.match(report.error.message, /^no order 41/)
  assert.match(report.error.stack, /failLater/)
  assert.equal(report.error.cause.code, 'ENOSPC')
  assert.match(report.javascriptStack.message, /no order 41/)
  assert.deepEqual(
    filesOf(program).filter((name) => name.startsWith('crash-stack-')),
    []
  )
})

test('so does a rejection nobody handles', async (t) => {
  const program = await startProgram(t)
  await fetch(`${program.url}/reject`)

  const { code } = await program.ended()

  assert.equal(code, 1)
  const report = JSON.parse(readArtifact(program, { name: only(program, 'crash-report-') }))
  assert.equal(report.origin, 'unhandledRejection')
  assert.equal(report.error.message, 'no order 42')
})

for (const { path, name, orderId } of [
  { path: '/throw', name: 'failLater', orderId: '41' },
  { path: '/reject', name: 'rejectLater', orderId: '42' }
]) {
  test(`on request, the variables around ${path} are kept as well, and errors that are caught cost nothing`, async (t) => {
    const program = await startProgram(t, { crashLocals: true })
    for (let i = 0; i < 20; i++) await fetch(`${program.url}/caught`)
    assert.deepEqual(filesOf(program), [])
    await fetch(`${program.url}${path}`)

    const { code } = await program.ended()

    assert.equal(code, 1)
    only(program, 'crash-report-')
    const stack = JSON.parse(readArtifact(program, { name: only(program, 'crash-stack-') }))
    assert.equal(stack.frames[0].function, name)
    assert.match(stack.error, /no order 4/)
    const closure: { name: string; value: string }[] = stack.frames[0].closure
    assert.equal(closure.find((variable) => variable.name === 'orderId')?.value, orderId)
  })
}

test('an object that is thrown and is no error has its variables kept as well', async (t) => {
  const program = await startProgram(t, { crashLocals: true })
  await fetch(`${program.url}/reject-object`)

  await program.ended()

  const stack = JSON.parse(readArtifact(program, { name: only(program, 'crash-stack-') }))
  assert.equal(stack.frames[0].function, 'rejectObject')
})

test('an error whose own properties throw still ends the process as any other', async (t) => {
  const program = await startProgram(t, { crashLocals: true })
  await fetch(`${program.url}/throw-trap`)

  const { code } = await program.ended()

  assert.equal(code, 1)
  assert.doesNotMatch(program.output(), /this one has no message/)
})

test('variables of another error than that of the crash are not kept', async (t) => {
  const program = await startProgram(t, { crashLocals: true })
  await fetch(`${program.url}/not-thrown`)

  await program.ended()

  assert.match(readArtifact(program, { name: only(program, 'crash-report-') }), /no order 44/)
  assert.deepEqual(
    filesOf(program).filter((name) => name.startsWith('crash-stack-')),
    []
  )
})

test('a full heap leaves a report, which is an artifact from the next start on', async (t) => {
  const directory = temporaryFolder(t)
  const env = { PLANTED_PASSWORD: 'planted-environment-0123' }
  // As docs/debugging.md has it; Node.js 20 cannot.
  const option = ['--report-exclude-env'].filter((name) => process.allowedNodeEnvironmentFlags.has(name))
  const program = await startProgram(t, { directory }, env, ['--max-old-space-size=40', ...option])
  fetch(`${program.url}/leak`).catch(() => {})
  const { signal, code } = await program.ended()
  const left = readdirSync(join(directory, 'unscrubbed'))
  const raw = readFileSync(join(directory, 'unscrubbed', left[0] ?? ''), 'utf8')

  const next = await startProgram(t, { directory }, env)
  const listed: { name: string; reason: string }[] = JSON.parse(await (await ask(next, '/artifacts')).text())

  assert.ok(signal === 'SIGABRT' || code === 134)
  assert.equal(left.length, 1)
  if (option.length > 0) assert.doesNotMatch(raw, /planted/)
  assert.deepEqual(readdirSync(join(directory, 'unscrubbed')), [])
  const [artifact] = listed
  assert.equal(artifact?.reason, 'memory')
  const text = readArtifact(next, { name: artifact?.name ?? '' })
  assert.doesNotMatch(text, /planted/)
  assert.equal(JSON.parse(text).header.processId, program.child.pid)
  assert.match(JSON.parse(text).header.trigger, /OOMError|FatalError/)
})
