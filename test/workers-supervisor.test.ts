import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Running, runGateway } from './app-process-helper.ts'
import { send } from './forwarding-helper.ts'

interface Sketch {
  workers?: number
  shutdownTimeout?: number
  answer?: string
  boots?: boolean
}

function settings(sketch: Sketch): string {
  return JSON.stringify({ workers: 2, shutdownTimeout: 1_000, ...sketch })
}

function run(t: TestContext, sketch: Sketch = {}): Running {
  return runGateway(t, {}, { 'settings.json': settings(sketch) }, 'supervised')
}

async function pidOf(program: Running, worker: number): Promise<number> {
  return Number(await program.printed(new RegExp(`"worker":${worker},"pid":(\\d+),"msg":"Server list`)))
}

async function ask(program: Running): Promise<string> {
  const { body } = await send(Number(new URL(await program.listening()).port))
  return String(body)
}

test('a worker that cannot start is reported by its exit code, and no other is started', async (t) => {
  const { code, stdout } = await run(t, { boots: false }).ended()

  assert.equal(code, 3)
  assert.equal(stdout.match(/"worker":1,[^\n]*"msg":"a worker died"/g)?.length, 1)
  assert.doesNotMatch(stdout, /"worker":2/)
})

test('a worker that died is tried again, ever less often, until it can start', async (t) => {
  const program = run(t)
  const second = await pidOf(program, 2)

  program.write('settings.json', settings({ boots: false }))
  process.kill(second, 'SIGKILL')
  await program.printed(/"worker":5,[^\n]*"msg":"a worker died"/)
  program.write('settings.json', settings({}))
  await pidOf(program, 6)
  program.child.kill('SIGTERM')
  const { code, stdout } = await program.ended()

  const delays = [...stdout.matchAll(/"delay":(\d+)/g)].map(([, delay]) => Number(delay))
  assert.deepEqual(delays, [100, 200, 400, 800])
  assert.equal(code, 0)
})

test('a restart with settings that cannot be read, or a worker that cannot start, keeps the workers', async (t) => {
  const program = run(t, { answer: 'old' })
  await pidOf(program, 2)

  program.write('settings.json', '{')
  program.child.kill('SIGHUP')
  await program.printed(/"msg":"the configuration cannot be used; the workers stay as they are"/)
  program.write('settings.json', settings({ boots: false }))
  program.child.kill('SIGHUP')
  await program.printed(/"worker":3,"msg":"a new worker did not start; the others stay as they are"/)
  const kept = await ask(program)
  program.write('settings.json', settings({ answer: 'new' }))
  program.child.kill('SIGHUP')
  await program.printed(/"msg":"restarted"/)
  await Promise.all([1, 2].map((worker) => program.printed(new RegExp(`"worker":${worker},.*"a worker has left"`))))
  const replaced = await ask(program)

  assert.deepEqual([kept, replaced], ['old', 'new'])
})

test('a restart changes the number of workers, up and down, and two at once are one after the other', async (t) => {
  const program = run(t, { workers: 1 })
  await pidOf(program, 1)

  program.write('settings.json', settings({ workers: 3 }))
  program.child.kill('SIGHUP')
  await pidOf(program, 4)
  await program.printed(/"workers":3,"msg":"restarted"/)
  program.write('settings.json', settings({ workers: 1 }))
  program.child.kill('SIGHUP')
  program.child.kill('SIGHUP')
  await Promise.all([2, 3, 4].map((worker) => program.printed(new RegExp(`"worker":${worker},.*"a worker has left"`))))
  program.child.kill('SIGTERM')
  const { code, stdout } = await program.ended()

  assert.equal(code, 0)
  assert.doesNotMatch(stdout, /a worker died/)
})

test('a second signal ends workers that would not stop', async (t) => {
  const program = run(t, { answer: 'stubborn', shutdownTimeout: 600_000 })
  await pidOf(program, 2)

  program.child.kill('SIGTERM')
  await program.printed(/"msg":"stopping"/)
  program.child.kill('SIGTERM')
  const { code } = await program.ended()

  assert.equal(code, 1)
})
