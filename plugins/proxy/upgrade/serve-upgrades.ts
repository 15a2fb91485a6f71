import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { takeUpgrades, type UpgradeTaker } from './listener.ts'
import type { Upgrades } from './upgrades.ts'

export interface UpgradeService {
  readonly upgrades: Upgrades
  readonly claims: UpgradeTaker['claims']
  /** The handler of the gateway's routes. */
  readonly handler: (request: FastifyRequest, reply: FastifyReply) => void
  /** Milliseconds that tunnels get when the application closes. */
  readonly limit: number
}

/** Lets the routes of a scope take upgrades, and end their tunnels in peace when the application closes. */
export function serveUpgrades(fastify: FastifyInstance, { upgrades, claims, handler, limit }: UpgradeService): void {
  const stop = takeUpgrades({ fastify, claims })
  fastify.addHook('preClose', (done) => {
    upgrades.drain(limit)
    done()
  })
  fastify.addHook('onClose', async () => stop())

  if (!fastify.hasDecorator('websocketServer')) return
  // @fastify/websocket puts a handler of its own before that of every route, which would end the connection.
  fastify.addHook('preHandler', (request, reply, done) => {
    if (!('upgrade' in request.raw) || request.raw.upgrade !== true) {
      done()
      return
    }
    // It closes the connection after an ordinary answer.
    reply.raw.shouldKeepAlive = false
    handler(request, reply)
  })
}
