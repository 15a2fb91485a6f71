import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open } from '../client.ts'
import { requestOf } from '../exchanges.ts'
import type { GuardReport } from './gateway.ts'

export interface GuardCase {
  readonly name: string
  readonly request: Buffer
  readonly layers: number
}

export const cases: readonly GuardCase[] = [
  { name: 'GET', request: requestOf('GET', '/users/42?full=1'), layers: 0 },
  { name: 'POST', request: requestOf('POST', '/users', 100), layers: 0 },
  { name: 'GET through ten layers', request: requestOf('GET', '/users/42?full=1'), layers: 10 }
]

const WARM_UP = 300
const REQUESTS = 500
const ROUNDS = 5

/**
 * Without optimized code, since that leaves allocations out or not as it has time to; and with room for all garbage of
 * a round, so that the heap grows by what is allocated.
 */
const FLAGS = ['--expose-gc', '--no-opt', '--min-semi-space-size=128', '--max-semi-space-size=128']

/** What one request costs the gateway, by name, of which `bytes` are those allocated on the heap of JavaScript. */
export async function measureCase({ request, layers }: GuardCase): Promise<Map<string, number>> {
  const target = start('target', [], {})
  try {
    const [targetPort] = await once(target, 'message')
    const gateway = start('gateway', FLAGS, {
      BENCH_LAYERS: String(layers),
      GATEWAY_TARGETS: `http://127.0.0.1:${targetPort}`,
      GATEWAY_ACCESS_LOG: 'false',
      GATEWAY_LOG_LEVEL: 'warn'
    })
    try {
      const [port] = await once(gateway, 'message')
      return await measure(gateway, await open(Number(port)), request)
    } finally {
      gateway.disconnect()
    }
  } finally {
    target.disconnect()
  }
}

async function measure(gateway: ChildProcess, client: Socket, request: Buffer): Promise<Map<string, number>> {
  client.setNoDelay(true)
  await exchange(client, request, WARM_UP)
  const { listeners } = await ask(gateway, 'report')
  const figures = new Map<string, number>()
  await ask(gateway, 'count')
  await exchange(client, request, REQUESTS)
  const counted = await ask(gateway, 'report')
  for (const [name, times] of Object.entries(counted.counts)) figures.set(name, times / REQUESTS)
  figures.set('listeners left', counted.listeners - listeners)
  let bytes = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    await ask(gateway, 'weigh')
    await exchange(client, request, REQUESTS)
    bytes = Math.min(bytes, (await ask(gateway, 'report')).bytes / REQUESTS)
  }
  client.destroy()
  return figures.set('bytes', bytes)
}

/** Sends the request so often, one after the other on one connection. */
async function exchange(client: Socket, request: Buffer, times: number): Promise<void> {
  for (let left = times; left > 0; left--) {
    client.write(request)
    let answer = ''
    while (!answer.endsWith('\r\n\r\nok')) {
      const [chunk] = await once(client, 'data')
      answer += String(chunk)
    }
    if (!answer.startsWith('HTTP/1.1 200 ')) throw new Error(`unexpected answer: ${answer}`)
  }
}

async function ask(gateway: ChildProcess, what: string): Promise<GuardReport> {
  const message = once(gateway, 'message')
  gateway.send(what)
  const [report] = await message
  return report
}

function start(name: string, execArgv: string[], variables: Record<string, string>): ChildProcess {
  const file = fileURLToPath(new URL(`${name}${extname(import.meta.url)}`, import.meta.url))
  const { PATH = '' } = process.env
  return fork(file, [], { execArgv, env: { PATH, NODE_ENV: 'production', ...variables } })
}
