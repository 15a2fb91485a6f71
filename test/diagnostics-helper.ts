import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { Artifact, DiagnosticsOptions, Taken } from '../plugins/diagnostics/index.ts'

export const TOKEN = 'a-token-of-the-tests-0123456789-0123456789'
const PROGRAM = fileURLToPath(new URL(`./diagnostics-program${extname(import.meta.filename)}`, import.meta.url))

/** What is told apart on a machine where tests run: no interval, and no more free space than there is. */
const OPTIONS: DiagnosticsOptions = { enabled: true, token: TOKEN, port: 0, minInterval: 0, minFree: 0 }

export interface Program {
  readonly child: ChildProcess
  readonly url: string
  /** Base URL of the diagnostics. */
  readonly diagnostics: string
  readonly directory: string
  /** What it wrote to stdout and stderr so far. */
  output(): string
  /** Resolves with exit code and signal once it has ended. */
  ended(): Promise<{ code: number | null; signal: string | null }>
}

/** A program of its own with diagnostics. */
export async function startProgram(
  t: TestContext,
  options: DiagnosticsOptions = {},
  env: Readonly<Record<string, string>> = {},
  execArgv: string[] = []
): Promise<Program> {
  const given = options.directory
  const directory = typeof given === 'string' ? given : temporaryFolder(t)
  const { PATH = '', NODE_V8_COVERAGE = '' } = process.env
  const coverage = NODE_V8_COVERAGE === '' ? {} : { NODE_V8_COVERAGE }
  const child = fork(PROGRAM, [JSON.stringify({ ...OPTIONS, directory, ...options })], {
    env: { PATH, ...coverage, ...env },
    execArgv,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const [message] = await Promise.race([
    once(child, 'message'),
    ended.then(() => assert.fail(`ended early: ${output}`))
  ])
  return {
    child,
    url: message.url,
    diagnostics: message.diagnostics,
    directory,
    output: () => output,
    ended: () => ended
  }
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'diagnostics-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A request to the diagnostics, with the token. */
export function ask(
  { diagnostics }: Pick<Program, 'diagnostics'>,
  path: string,
  init: RequestInit = {}
): Promise<Response> {
  return fetch(`${diagnostics}${path}`, { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...init.headers } })
}

/** Has something taken, once nothing else is being taken. */
export async function take(program: Pick<Program, 'diagnostics'>, path: string): Promise<Taken> {
  let response = await ask(program, path, { method: 'POST' })
  while (response.status === 409) response = await ask(program, path, { method: 'POST' })
  const text = await response.text()
  assert.equal(response.status, 201, text)
  return JSON.parse(text)
}

/** The artifacts as they lie in the folder, by name. */
export function filesOf({ directory }: Pick<Program, 'directory'>): string[] {
  return existsSync(directory) ? readdirSync(directory).filter((name) => /\.(json|cpuprofile|gz)$/.test(name)) : []
}

export function readArtifact({ directory }: Pick<Program, 'directory'>, { name }: Pick<Artifact, 'name'>): string {
  const content = readFileSync(join(directory, name))
  return (name.endsWith('.gz') ? gunzipSync(content) : content).toString()
}
