import { Agent, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import Fastify, { type FastifyPluginAsync } from 'fastify'
import { load } from '../packages.ts'
import { CONNECTIONS, type Start, serve } from './serve.ts'

interface HttpProxyOptions {
  upstream: string
  websocket: boolean
  disableRequestLogging: boolean
  undici: object
}

interface HttpProxy3 {
  createProxyServer(options: { target: string; agent: Agent }): {
    web(request: IncomingMessage, response: ServerResponse): unknown
    ws(request: IncomingMessage, socket: Duplex, head: Buffer): unknown
    on(event: 'error', listener: (error: Error) => void): unknown
  }
}

type FastGateway = (options: { routes: readonly { prefix: string; target: string; proxyConfig?: object }[] }) => {
  start(port: number, host: string): Promise<unknown>
}

export const fastifyHttpProxy: Start = async ({ host, port, base: upstream, tls }) => {
  const app = Fastify({ https: tls })
  const plugin = load('@fastify/http-proxy')
  if (!isPlugin(plugin)) throw new Error('@fastify/http-proxy is no plugin')
  const undici = { connections: CONNECTIONS }
  await app.register(plugin, { upstream, websocket: true, disableRequestLogging: true, undici })
  await app.listen({ host, port })
}

export const httpProxy3: Start = (options) => {
  const library = load('http-proxy-3')
  if (!isHttpProxy3(library)) throw new Error('http-proxy-3 has no createProxyServer')
  // Without an agent of its own it would open a connection for each request.
  const agent = new Agent({ keepAlive: true, maxFreeSockets: CONNECTIONS })
  const proxy = library.createProxyServer({ target: options.base, agent })
  proxy.on('error', () => {})
  const server = serve(options, (request, response) => proxy.web(request, response))
  server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head))
}

export const fastGateway: Start = async ({ host, port, base: target }) => {
  const create = load('fast-gateway')
  if (!isFastGateway(create)) throw new Error('fast-gateway is no function')
  await create({ routes: [{ prefix: '', target }] }).start(port, host)
}

function isPlugin(value: unknown): value is FastifyPluginAsync<HttpProxyOptions> {
  return typeof value === 'function'
}

function isHttpProxy3(value: unknown): value is HttpProxy3 {
  return typeof value === 'object' && value !== null && 'createProxyServer' in value
}

function isFastGateway(value: unknown): value is FastGateway {
  return typeof value === 'function'
}
