import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import { type GatewayOptions, parseOptions } from '../plugins/config/index.ts'
import proxy, { answerClientError } from '../plugins/proxy/index.ts'
import { createServerFactory } from '../plugins/server/index.ts'
import { eventually, type UpstreamSketch } from './forwarding-helper.ts'
import { portOf } from './helper.ts'

export interface RunningServer {
  app: FastifyInstance
  port: number
  /** Resolves once no attempt is in flight at any target; rejects if that takes more than 10 s. */
  idle(): Promise<void>
}

export interface ServerSketch {
  server?: GatewayOptions['server']
  upstream?: UpstreamSketch
  /** Called before the gateway is registered. */
  prepare?: (app: FastifyInstance) => void
}

/** A gateway on a server as that of the stand-alone gateway, with the route `/*` to one upstream. */
export async function startServer(
  t: TestContext,
  targets: UpstreamSketch['targets'],
  { server = {}, upstream = {}, prepare }: ServerSketch = {}
): Promise<RunningServer> {
  const config = parseOptions({
    upstreams: { users: { targets, ...upstream } },
    routes: [{ match: { path: '/*' }, upstream: 'users' }],
    server
  })
  const app = Fastify({
    serverFactory: createServerFactory(config.server, 10),
    clientErrorHandler: answerClientError,
    return503OnClosing: false
  })
  prepare?.(app)
  await app.register(proxy, { config })
  t.after(() => {
    const closed = app.close()
    app.server.closeAllConnections()
    return closed
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const busy = () => app.balancers.get('users').targets.some(({ inFlight }) => inFlight !== 0)
  return { app, port: portOf(app.server), idle: () => eventually(() => !busy(), 'an attempt stays in flight') }
}
