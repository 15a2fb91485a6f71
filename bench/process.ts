import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { open } from './client.ts'
import { portOf } from './port.ts'
import type { Command } from './proxies/types.ts'

/** Whether processes can be pinned to a processor: taskset is there, and more than one processor. */
export const pins = availableParallelism() > 1 && hasTaskset()

/** Starts a program, on one processor where that is possible and asked for, and waits until its port takes connections. */
export async function startProcess(
  { program, args, env }: Command,
  port: number,
  processor: number | undefined
): Promise<ChildProcess> {
  const pinned = pins && processor !== undefined
  const [first = '', ...rest] = pinned ? ['taskset', '-c', String(processor), program, ...args] : [program, ...args]
  const options = { stdio: 'ignore', env: { ...process.env, NODE_ENV: 'production', ...env } } as const
  const child = spawn(first, rest, options)
  child.on('error', () => {})
  for (let left = 1_000; ; left--) {
    const socket = await open(port).catch(() => undefined)
    socket?.destroy()
    if (socket !== undefined) return child
    if (left === 0) child.kill('SIGKILL')
    if (left === 0 || child.exitCode !== null) throw new Error(`${program} ${args.join(' ')} does not listen`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(late)
}

/** A port of 127.0.0.1 on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  server.close()
  await once(server, 'close')
  return port
}

function hasTaskset(): boolean {
  try {
    execFileSync('taskset', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
