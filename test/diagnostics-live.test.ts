import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Frame } from '../plugins/diagnostics/index.ts'
import { Watchdog } from '../plugins/diagnostics/watchdog.ts'
import { ask, filesOf, type Program, readArtifact, startProgram, take } from './diagnostics-helper.ts'
import { eventually } from './forwarding-helper.ts'

/** Has the program block its event loop, and gives a way to end that. */
function block({ url, directory }: Program): { end(): Promise<void> } {
  const file = join(directory, 'go-on')
  const answer = fetch(`${url}/busy`, { headers: { 'x-file': file } })
  return {
    async end() {
      writeFileSync(file, '')
      await answer
    }
  }
}

/** The stack, once that function is on it. */
async function stackWith(program: Program, name: string): Promise<readonly Frame[]> {
  for (;;) {
    const { stack } = await take(program, '/stack')
    const frames = stack?.frames ?? []
    if (frames.some((frame) => frame.function === name)) return frames
  }
}

const localOf = (frame: Frame | undefined, name: string) => frame?.locals.find((local) => local.name === name)

test('a busy loop: its stack is told with source lines, variables and their properties, and it goes on', async (t) => {
  const program = await startProgram(t)
  const busy = block(program)

  const frames = await stackWith(program, 'waitFor')
  await busy.end()

  const frame = frames.find((found) => found.function === 'waitFor')
  assert.deepEqual(
    localOf(frame, 'order')?.properties?.map(({ name, value }) => [name, value]),
    [
      ['id', '7'],
      ['customer', '"ann"']
    ]
  )
  assert.equal(localOf(frame, 'turns')?.type, 'number')
  assert.match(frame?.source.find(({ line }) => line === frame.line)?.text ?? '', /while|turns/)
  assert.match(frame?.url ?? '', /diagnostics-program\.[jt]s$/)
  assert.ok(frames.some((found) => found.function === 'busyHandler'))
})

test('a busy loop: report and CPU profile can be had all the same', async (t) => {
  const program = await startProgram(t)
  const busy = block(program)
  await stackWith(program, 'waitFor')

  const report = await take(program, '/report')
  const profile = await take(program, '/cpu-profile?seconds=1')
  await busy.end()

  assert.equal(JSON.parse(readArtifact(program, report)).header.processId, program.child.pid)
  assert.match(readArtifact(program, profile), /"functionName":"busyHandler"/)
})

test('a busy loop: a heap snapshot that cannot begin is given up in time, and nothing else waits for it', async (t) => {
  const program = await startProgram(t)
  const busy = block(program)
  await stackWith(program, 'waitFor')

  const response = await ask(program, '/heap-snapshot?timeoutMs=100', { method: 'POST' })
  const { stack } = await take(program, '/stack')
  await busy.end()
  const later = await take(program, '/heap-snapshot')

  assert.equal(response.status, 504)
  assert.equal(stack?.idle, false)
  assert.equal(later.kind, 'heap-snapshot')
  assert.equal(filesOf(program).filter((name) => name.startsWith('manual-heap-snapshot-')).length, 1)
})

test('a regular expression that does not end: its function is told, with the input', async (t) => {
  const program = await startProgram(t)
  fetch(`${program.url}/regex`).catch(() => {})

  const frames = await stackWith(program, 'slowRegex')

  const frame = frames.find((found) => found.function === 'slowRegex')
  assert.equal(localOf(frame, 'input')?.value, `"${'a'.repeat(60)}b"`)
})

test('a process that does nothing is idle, and serves on', async (t) => {
  const program = await startProgram(t)

  const { stack } = await take(program, '/stack?timeoutMs=50')

  assert.deepEqual(stack, { idle: true, frames: [] })
  assert.equal((await fetch(`${program.url}/caught`)).status, 418)
})

test('an event loop that is blocked for too long leaves a stack by itself', async (t) => {
  const program = await startProgram(t, { blockedAfter: 100 })
  const busy = block(program)

  // On a busy machine, whatever comes before may block it for as long, and has a stack then, too.
  const isBusy = (name: string) => /"function": "waitFor"/.test(readArtifact(program, { name }))
  const taken = () => filesOf(program).filter((name) => name.startsWith('blocked-stack-'))
  await eventually(() => taken().some(isBusy), 'no stack was taken')
  await busy.end()
})

test('the watchdog: one stack for each time the loop is blocked, none when all stood still or before it began', () => {
  const heartbeat = new SharedArrayBuffer(4)
  const beats = new Int32Array(heartbeat)
  let [now, taken, busy] = [0, 0, false]
  const jobs = {
    get busy() {
      return busy
    },
    take: async () => {
      taken++
      throw new Error('the disk is full')
    }
  }
  const watchdog = new Watchdog(heartbeat, 100, jobs, () => now)
  const turn = (ms: number, { alive }: { alive: boolean }) => {
    now += ms
    if (alive) Atomics.add(beats, 0, 1)
    watchdog.check()
    return taken
  }

  const counts = [
    // The application starts.
    turn(500, { alive: false }),
    turn(25, { alive: true }),
    // The process is stopped and goes on.
    turn(5_000, { alive: false }),
    turn(25, { alive: true }),
    // Blocked, and still blocked.
    turn(50, { alive: false }),
    turn(50, { alive: false }),
    turn(50, { alive: false }),
    turn(500, { alive: false }),
    turn(25, { alive: true }),
    // Blocked again.
    turn(60, { alive: false }),
    turn(60, { alive: false })
  ]
  busy = true
  turn(25, { alive: true })
  const whileTaking = [turn(90, { alive: false }), turn(90, { alive: false })]
  busy = false
  const afterwards = [turn(60, { alive: false }), turn(60, { alive: false })]
  busy = true
  turn(10, { alive: false })
  busy = false
  afterwards.push(turn(60, { alive: false }), turn(60, { alive: false }))

  assert.deepEqual(counts, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
  assert.deepEqual(whileTaking, [2, 2])
  assert.deepEqual(afterwards, [2, 3, 3, 3])
})
