import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import Fastify from 'fastify'
import proxy from '../plugins/proxy/index.ts'
import { load } from './load.ts'
import { quantile, table } from './measure.ts'
import { portOf } from './port.ts'

const TARGETS = 5
const CONNECTIONS = 32
const STRATEGIES = ['round-robin', 'least-connections', 'p2c', 'smooth-weighted-round-robin']

/**
 * Targets that are taken down, restarted and put back one after the other, round after round, under as much load as the
 * gateway takes. No attempt is repeated, so each one that fails would end the run.
 */
export async function benchRollingRestart(quick: boolean): Promise<string> {
  const rows: string[][] = []
  for (const strategy of STRATEGIES) rows.push(await restartAll(strategy, quick ? 200 : 5_000))
  return table(['rolling restart', 'restarts', 'requests', 'failed', 'p50 ms', 'p99 ms', 'max ms'], rows)
}

async function restartAll(strategy: string, milliseconds: number): Promise<string[]> {
  const servers = await Promise.all(Array.from({ length: TARGETS }, () => listen(0)))
  const targets = servers.map((server) => ({ url: `http://127.0.0.1:${portOf(server)}` }))
  const app = Fastify({ forceCloseConnections: true })
  await app.register(proxy, {
    upstreams: { users: { strategy, targets, slowStart: { window: '100ms' }, retry: { attempts: 0 } } },
    routes: [{ match: { path: '/*' }, upstream: 'users' }]
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const end = performance.now() + milliseconds
  const restarting = restartUntil(end, app.balancers.get('users'), servers)
  const latencies: number[] = []
  // Rejects at the first answer that is not a 200.
  while (performance.now() < end) {
    const result = await load({ port: portOf(app.server), requests: 1_000, connections: CONNECTIONS })
    latencies.push(...result.latencies)
  }
  const restarts = await restarting
  await app.close()
  for (const server of servers) server.close()
  const [p50, p99, max] = [0.5, 0.99, 1].map((share) => quantile(latencies, share).toFixed(1))
  return [strategy, String(restarts), String(latencies.length), '0', `${p50}`, `${p99}`, `${max}`]
}

async function restartUntil(
  end: number,
  balancer: { targets: readonly { url: string; inFlight: number }[]; setDown(url: string, down: boolean): boolean },
  servers: Server[]
): Promise<number> {
  let restarts = 0
  for (; performance.now() < end; restarts++) {
    const index = restarts % servers.length
    const [target, server] = [balancer.targets[index], servers[index]]
    if (target === undefined || server === undefined) break
    balancer.setDown(target.url, true)
    while (target.inFlight > 0) await new Promise((resolve) => setImmediate(resolve))
    const port = portOf(server)
    server.closeAllConnections()
    await once(server.close(), 'close')
    servers[index] = await listen(port)
    balancer.setDown(target.url, false)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return restarts
}

async function listen(port: number): Promise<Server> {
  const server = createServer((_request, response) => {
    response.setHeader('content-length', 2)
    response.end('ok')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
