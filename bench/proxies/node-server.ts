import { createServer, type RequestListener } from 'node:http'
import replyFrom from '@fastify/reply-from'
import Fastify, { type FastifyPluginAsync } from 'fastify'
import { Pool } from 'undici'
import gateway from '../../app.ts'
import { load } from './packages.ts'

const BODY = Buffer.from(JSON.stringify({ id: 42, name: 'Ada Lovelace', roles: ['admin', 'author'], active: true }))
const CONNECTIONS = 256

/** Servers in a process of their own: the origin, and proxies for it. */
const servers: Readonly<Record<string, (port: number, base: string) => void | Promise<void>>> = {
  origin: (port) => serve(port, answer),
  async embedded(port, base) {
    const app = Fastify()
    await app.register(gateway, { upstreams: { bench: { targets: [base] } }, routes: [{ upstream: 'bench' }] })
    await app.listen({ host: '127.0.0.1', port })
  },
  async 'reply-from'(port, base) {
    const app = Fastify()
    await app.register(replyFrom, { base, disableRequestLogging: true, undici: { connections: CONNECTIONS } })
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    app.all('/*', (request, reply) => {
      reply.from(request.url)
    })
    await app.listen({ host: '127.0.0.1', port })
  },
  async 'http-proxy'(port, upstream) {
    const app = Fastify()
    const plugin = load('@fastify/http-proxy')
    if (!isPlugin(plugin)) throw new Error('@fastify/http-proxy is no plugin')
    await app.register(plugin, { upstream, disableRequestLogging: true, undici: { connections: CONNECTIONS } })
    await app.listen({ host: '127.0.0.1', port })
  },
  undici(port, base) {
    const pool = new Pool(base, { connections: CONNECTIONS })
    serve(port, (request, response) => {
      const { method = 'GET', url: path = '/', headers } = request
      const body = method === 'GET' ? null : request
      pool.stream(
        { method, path, headers: forwardable(headers), body },
        ({ statusCode, headers: fields }) => {
          return response.writeHead(statusCode, forwardable(fields))
        },
        () => {}
      )
    })
  }
}

function isPlugin(
  value: unknown
): value is FastifyPluginAsync<{ upstream: string; disableRequestLogging: boolean; undici: object }> {
  return typeof value === 'function'
}

function forwardable<T extends Record<string, unknown>>(headers: T): Omit<T, 'connection' | 'keep-alive'> {
  const { connection: _connection, 'keep-alive': _keepAlive, ...others } = headers
  return others
}

const answer: RequestListener = (request, response) => {
  request.resume()
  const size = /^\/bytes\/(\d+)$/.exec(request.url ?? '')?.[1]
  const body = size === undefined ? BODY : Buffer.alloc(Number(size), 'x')
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  })
}

function serve(port: number, listener: RequestListener): void {
  const server = createServer(listener)
  server.keepAliveTimeout = 60_000
  server.listen(port, '127.0.0.1')
}

const [, , name = '', port = '0', base = ''] = process.argv
await servers[name]?.(Number(port), base)
