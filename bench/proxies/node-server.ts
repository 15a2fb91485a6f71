import { readFileSync } from 'node:fs'
import { embedded, embeddedFunction } from './servers/embedded.ts'
import { origin } from './servers/origin.ts'
import { fastGateway, fastifyHttpProxy, httpProxy3 } from './servers/packages.ts'
import { replyFrom } from './servers/reply-from.ts'
import type { Start } from './servers/serve.ts'
import { undici } from './servers/undici.ts'

/** Servers in a process of their own: the origin, and proxies for it. */
const servers: Readonly<Record<string, Start>> = {
  origin,
  embedded,
  'embedded-function': embeddedFunction,
  undici,
  'reply-from': replyFrom,
  '@fastify/http-proxy': fastifyHttpProxy,
  'http-proxy-3': httpProxy3,
  'fast-gateway': fastGateway
}

const [, , name = '', port = '0', base = '', cert, key] = process.argv
const tls = cert === undefined || key === undefined ? null : { cert: readFileSync(cert), key: readFileSync(key) }
await servers[name]?.({ port: Number(port), base, tls, host: process.env.BENCH_HOST ?? '127.0.0.1' })
