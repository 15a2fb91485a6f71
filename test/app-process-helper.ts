import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const APP = resolve(fileURLToPath(import.meta.url), `../../app${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`)

/** A gateway that runs as a program of its own. */
export interface Running {
  readonly child: ChildProcess
  /** Resolves with the base URL once the gateway listens; rejects when it ends before that. */
  listening(): Promise<string>
  /** Resolves when what was written to stdout or stderr matches. */
  printed(pattern: RegExp): Promise<string>
  /** Resolves when the program has ended. */
  ended(): Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>
}

/**
 * Starts the gateway in an empty folder with these variables, and the port left to the system. `files` are written
 * there first.
 */
export function runGateway(
  t: TestContext,
  variables: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {}
): Running {
  const cwd = mkdtempSync(join(tmpdir(), 'gateway-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text)
  // What runs in the program counts for coverage too.
  const { PATH = '', NODE_V8_COVERAGE = '' } = process.env
  const env = { PATH, ...(NODE_V8_COVERAGE === '' ? {} : { NODE_V8_COVERAGE }), ...variables }
  const child = spawn(process.execPath, [APP], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    output.stdout += chunk
  })
  child.stderr.on('data', (chunk: Buffer) => {
    output.stderr += chunk
  })
  const closed = once(child, 'close').then(([code, signal]) => ({ code, signal, ...output }))
  t.after(async () => {
    child.kill('SIGTERM')
    await closed
    rmSync(cwd, { recursive: true, force: true })
  })

  async function printed(pattern: RegExp): Promise<string> {
    let match = pattern.exec(output.stdout + output.stderr)
    while (match === null) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`ended without printing ${pattern}: ${output.stdout}${output.stderr}`)
      }
      await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), closed])
      match = pattern.exec(output.stdout + output.stderr)
    }
    return match[1] ?? match[0]
  }

  return {
    child,
    printed,
    listening: () => printed(/"msg":"Server listening at (https?:[^"]+)"/),
    ended: () => closed
  }
}
