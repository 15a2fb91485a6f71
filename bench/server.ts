import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'
import gateway from '../app.ts'
import diagnostics from '../plugins/diagnostics/index.ts'

/** What a server under measurement says of itself. */
export interface Usage {
  /** Microseconds of processor time so far, user and system. */
  readonly cpu: number
  /** Kibibytes, at the most so far. */
  readonly maxRss: number
}

const BODY = JSON.stringify({ id: 42, name: 'Ada Lovelace', roles: ['admin', 'author'], active: true })

/** Ways to answer the same request; each returns the port it listens on. */
const servers = {
  origin: answering,
  'node:http, no proxy': answering,
  'reply-from': async (origin: string) => {
    const app = Fastify()
    await app.register(replyFrom, { base: origin, disableRequestLogging: true, undici: { connections: 128 } })
    app.all('/*', (request, reply) => {
      reply.from(request.url.slice(0, request.url.indexOf('?')))
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return portOf(app.server.address())
  },
  gateway: async (origin: string) => {
    const app = Fastify()
    await app.register(gateway, { upstreams: { bench: { targets: [origin] } }, routes: [{ upstream: 'bench' }] })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return portOf(app.server.address())
  },
  'gateway, diagnostics on': async (origin: string) => {
    const app = Fastify()
    const directory = mkdtempSync(join(tmpdir(), 'gateway-bench-'))
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
    await app.register(diagnostics, {
      enabled: true,
      token: randomBytes(32).toString('hex'),
      port: 0,
      directory,
      blockedAfter: '2s'
    })
    await app.register(gateway, { upstreams: { bench: { targets: [origin] } }, routes: [{ upstream: 'bench' }] })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return portOf(app.server.address())
  }
} as const

export type ServerName = keyof typeof servers

function answering(_origin: string): Promise<number> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': BODY.length })
    response.end(BODY)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(portOf(server.address())))
  })
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}

function usage(): Usage {
  const { user, system } = process.cpuUsage()
  return { cpu: user + system, maxRss: process.resourceUsage().maxRSS }
}

function isServerName(name: string): name is ServerName {
  return Object.hasOwn(servers, name)
}

// Run as a child process: tells its port, then its usage whenever it is asked.
const [, , name = '', origin = ''] = process.argv
if (process.send !== undefined && isServerName(name)) {
  process.on('message', () => process.send?.(usage()))
  process.on('disconnect', () => process.exit())
  process.send(await servers[name](origin))
}
