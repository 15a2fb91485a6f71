import Fastify from 'fastify'
import gateway, { type GatewayPluginOptions } from '../../../app.ts'
import { defineEventHandler } from '../../../plugins/events/index.ts'
import { USER } from './origin.ts'
import type { ServerOptions, Start } from './serve.ts'

/** The gateway as a plugin of an app. */
export const embedded: Start = (options) => listen(options, { upstreams: { bench: { targets: [options.base] } } })

/** The same, with a function in the place of the origin. */
export const embeddedFunction: Start = (options) =>
  listen(options, {
    functions: { user: defineEventHandler(() => USER) },
    upstreams: { bench: { targets: ['function:user'] } }
  })

async function listen({ host, port, tls }: ServerOptions, options: GatewayPluginOptions): Promise<void> {
  const app = Fastify({ https: tls })
  await app.register(gateway, { ...options, routes: [{ upstream: 'bench' }] })
  await app.listen({ host, port })
}
