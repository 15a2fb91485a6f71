import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Artifacts } from '../plugins/diagnostics/artifacts.ts'
import { rawDirectory, scrubLeftOvers } from '../plugins/diagnostics/left-overs.ts'
import { Scrubber } from '../plugins/diagnostics/secrets.ts'
import type { Artifact, Reason } from '../plugins/diagnostics/types.ts'
import { temporaryFolder } from './diagnostics-helper.ts'

/** The id of a process that is gone. */
function deadPid(): number {
  return spawnSync(process.execPath, ['--version']).pid
}

function leftOver(pid: number): string {
  return `report.20261125.101530.${pid}.0.001.json`
}

test('folder, files and the folder of raw reports are for the own user alone', (t) => {
  const directory = join(temporaryFolder(t), 'artifacts')
  mkdirSync(join(directory, 'unscrubbed'), { recursive: true })
  for (const folder of [directory, join(directory, 'unscrubbed')]) chmodSync(folder, 0o777)

  const artifacts = new Artifacts(directory)
  const raw = rawDirectory(artifacts)
  const { name } = artifacts.write('report', 'manual', '{}')

  const modes = [directory, raw, join(directory, name)].map((path) => statSync(path).mode & 0o777)
  assert.deepEqual(modes, [0o700, 0o700, 0o600])
})

test('a folder of another user is refused', (t) => {
  const directory = temporaryFolder(t)
  const other = statSync(directory).uid + 1
  const before = process.getuid
  t.after(() => Reflect.set(process, 'getuid', before))
  Reflect.set(process, 'getuid', () => other)

  assert.throws(() => new Artifacts(directory), { code: 'FST_GATEWAY_DIAGNOSTICS_UNAVAILABLE' })
})

test('the oldest go until the bytes are few enough, the newest stays', (t) => {
  const artifacts = new Artifacts(temporaryFolder(t))
  let seconds = 0
  t.mock.method(Date.prototype, 'toISOString', () => `2026-11-25T10:15:0${seconds++}.000Z`)
  const names = [1, 2, 3].map(() => artifacts.write('report', 'manual', 'x'.repeat(100)).name)
  const left = (maxBytes: number) => {
    artifacts.prune(10, maxBytes)
    return artifacts.list().map(({ name }) => name)
  }

  assert.deepEqual(left(300), names)
  assert.deepEqual(left(299), names.slice(1))
  assert.deepEqual(left(50), names.slice(2))
})

/** Prunes what was written for these reasons, one after the other, and gives the reasons of what is left. */
function pruned(t: TestContext, reasons: readonly Reason[], bytes: number[], limits: [files: number, bytes: number]) {
  const artifacts = new Artifacts(temporaryFolder(t))
  let minutes = 10
  t.mock.method(Date.prototype, 'toISOString', () => `2026-11-25T10:${minutes++}:00.000Z`)
  for (const [index, reason] of reasons.entries()) artifacts.write('report', reason, 'x'.repeat(bytes[index] ?? 1))
  artifacts.prune(...limits)
  return artifacts.list().map(({ reason, taken }) => `${reason} ${taken.slice(14, 16)}`)
}

test('crashes in a loop push out crashes, and nothing else', (t) => {
  const reasons: Reason[] = ['blocked', 'manual', 'crash', 'crash', 'crash', 'crash']

  assert.deepEqual(pruned(t, reasons, [], [4, 100]), ['blocked 10', 'manual 11', 'crash 14', 'crash 15'])
})

test('too many bytes are taken from the reason that has the most of them', (t) => {
  const reasons: Reason[] = ['crash', 'crash', 'manual', 'crash', 'manual']

  assert.deepEqual(pruned(t, reasons, [1, 1, 60, 1, 60], [9, 100]), ['crash 10', 'crash 11', 'crash 13', 'manual 14'])
})

test('the newest stays, even if it is the largest of all', (t) => {
  assert.deepEqual(pruned(t, ['crash', 'signal', 'manual'], [1, 1, 200], [9, 100]), ['manual 12'])
})

test('a link in place of the folder of raw reports is refused, and nothing behind it is touched', (t) => {
  const [directory, elsewhere] = [temporaryFolder(t), temporaryFolder(t)]
  const name = leftOver(deadPid())
  writeFileSync(join(elsewhere, name), '{}')
  const artifacts = new Artifacts(directory)
  symlinkSync(elsewhere, join(directory, 'unscrubbed'))

  assert.throws(() => scrubLeftOvers(artifacts, new Scrubber({})), { code: 'FST_GATEWAY_DIAGNOSTICS_UNAVAILABLE' })

  assert.deepEqual(readdirSync(elsewhere), [name])
})

test('an artifact that became a link is not read', (t) => {
  const artifacts = new Artifacts(temporaryFolder(t))
  const { name } = artifacts.write('report', 'manual', '{}')
  rmSync(join(artifacts.directory, name))
  symlinkSync('/etc/passwd', join(artifacts.directory, name))

  assert.equal(artifacts.find(name), undefined)
  assert.throws(() => artifacts.open(name), { code: 'ELOOP' })
})

test('a file that cannot be written to its end leaves nothing', (t) => {
  const directory = temporaryFolder(t)
  const module = new URL(`../plugins/diagnostics/artifacts${extname(import.meta.filename)}`, import.meta.url)
  const program = `import { Artifacts } from ${JSON.stringify(module)}
    new Artifacts(${JSON.stringify(directory)}).write('report', 'manual', 'x'.repeat(100_000))`

  // The shell counts in blocks of at most 1 kB.
  const command = ['-c', 'ulimit -f 8; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', program]
  const { status, stderr } = spawnSync('sh', command, { encoding: 'utf8' })

  assert.equal(status, 1)
  assert.match(stderr, /EFBIG/)
  assert.deepEqual(readdirSync(directory), [])
})

test('of processes that clean up at the same time, each takes what the others have not', (t) => {
  const directory = temporaryFolder(t)
  const names = [1, 2].map((count) => `report.20261125.101530.${deadPid()}.0.00${count}.json`)
  const raw = rawDirectory(new Artifacts(directory))
  for (const name of names) writeFileSync(join(raw, name), '{}')
  // The other process has taken the second report by the time the first is written.
  class Slow extends Artifacts {
    override write(...args: Parameters<Artifacts['write']>): Artifact {
      for (const name of names) rmSync(join(raw, name), { force: true })
      return super.write(...args)
    }
  }
  const artifacts = new Slow(directory)

  scrubLeftOvers(artifacts, new Scrubber({}))

  assert.equal(artifacts.list().length, 1)
})

test('what dead processes left is cleaned with the secrets of their own environment, half files are removed', (t) => {
  const artifacts = new Artifacts(temporaryFolder(t))
  const raw = rawDirectory(artifacts)
  const pid = deadPid()
  const report = { note: 'it had old-password-1', environmentVariables: { PASSWORD: 'old-password-1' } }
  writeFileSync(join(raw, leftOver(pid)), JSON.stringify(report))
  writeFileSync(join(raw, leftOver(process.ppid)), JSON.stringify(report))
  symlinkSync(join(raw, leftOver(process.ppid)), join(raw, `report.20261125.101531.${pid}.0.002.json`))
  const half = (id: number) => `.manual-heap-snapshot-20261125T101530123Z-${id}-0123abcd.heapsnapshot.gz.part`
  for (const id of [pid, process.ppid]) writeFileSync(join(artifacts.directory, half(id)), 'half')

  scrubLeftOvers(artifacts, new Scrubber({}))

  const [artifact, ...others] = artifacts.list()
  assert.deepEqual(others, [])
  assert.deepEqual(JSON.parse(readFileSync(join(artifacts.directory, artifact?.name ?? ''), 'utf8')), {
    note: 'it had [redacted]'
  })
  assert.deepEqual(readdirSync(raw), [leftOver(process.ppid)])
  const parts = readdirSync(artifacts.directory).filter((name) => name.endsWith('.part'))
  assert.deepEqual(parts, [half(process.ppid)])
})
