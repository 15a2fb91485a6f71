import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Signal } from './signal.ts'

/** A gateway that runs as a program of its own. */
export interface Running {
  readonly child: ChildProcess
  /** The folder it runs in. */
  readonly folder: string
  /** Writes a file there. */
  write(name: string, text: string): void
  /** Resolves with the base URL once the gateway listens; rejects when it ends before that. */
  listening(): Promise<string>
  /** Resolves when what was written to stdout or stderr matches, with the first group or else the whole of it. */
  printed(pattern: RegExp): Promise<string>
  /** Resolves when the program has ended. */
  ended(): Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>
}

/**
 * Starts the gateway in an empty folder with these variables, and the port left to the system. `files` are written
 * there first.
 * @param program another program to start instead, relative to the folder of the tests, without its ending
 */
export function runGateway(
  t: TestContext,
  variables: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
  program = '../app'
): Running {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  for (const [name, text] of Object.entries(files)) write(name, text)
  // What runs in the program counts for coverage too.
  const { PATH = '', NODE_V8_COVERAGE = '' } = process.env
  const env = { PATH, ...(NODE_V8_COVERAGE === '' ? {} : { NODE_V8_COVERAGE }), ...variables }
  const path = fileURLToPath(new URL(`${program}${extname(import.meta.filename)}`, import.meta.url))
  const child = spawn(process.execPath, [path], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const news = new Signal()
  const output = { stdout: '', stderr: '' }
  let running = true
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (chunk: Buffer) => {
      output[stream] += chunk
      news.notify()
    })
  }
  const closed = once(child, 'close').then(([code, signal]) => {
    running = false
    news.notify()
    return { code, signal, ...output }
  })
  t.after(async () => {
    child.kill('SIGTERM')
    await closed
    rmSync(folder, { recursive: true, force: true })
  })

  async function printed(pattern: RegExp): Promise<string> {
    const found = () => pattern.exec(output.stdout + output.stderr)
    await news.until(() => !running || found() !== null, LIMIT)
    const match = found()
    if (match === null) throw new Error(`has not printed ${pattern}: ${output.stdout}${output.stderr}`)
    return match[1] ?? match[0]
  }

  return {
    child,
    folder,
    write,
    printed,
    listening: () => printed(/"msg":"Server listening at (https?:[^"]+)"/),
    ended: () => closed
  }
}

/** Milliseconds after which what should have been printed will not come any more. */
const LIMIT = 40_000
