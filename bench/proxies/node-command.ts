import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command, Setup } from './types.ts'

/** One of the servers of `node-server.ts`. */
export function node(
  name: string,
  { port, origin, tls, env }: Pick<Setup, 'port' | 'origin' | 'tls' | 'env'>
): Command {
  const files = tls === undefined ? [] : [tls.cert, tls.key]
  const args = [entry('./node-server'), name, String(port), `http://127.0.0.1:${origin}`, ...files]
  return { program: process.execPath, args, env }
}

/** The server that answers by itself. */
export function origin(setup: Pick<Setup, 'port' | 'tls' | 'env'>): Command {
  return node('origin', { ...setup, origin: setup.port })
}

/** The path of a module; not rewritten by the compiler, as imports are. */
export function entry(name: string): string {
  return fileURLToPath(new URL(`${name}${extname(import.meta.filename)}`, import.meta.url))
}
