import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { afterAnswers, responseOf } from '../front/answers-under-way.ts'
import { linger } from '../front/linger.ts'
import { serveAsOrdinary } from './ordinary.ts'
import { requestedProtocols } from './requested-protocols.ts'

/** A request that asks for another protocol, and what its connection becomes free for. */
export interface PendingUpgrade {
  /** What to ask the target for. */
  readonly protocols: string
  readonly socket: Socket
  /** What the client has sent behind the request. None of it may reach a target before its 101. */
  readonly early: Buffer
  /** The connection has become that of a tunnel. */
  switched: boolean
}

/** A gateway, as the listener sees it. */
export interface UpgradeTaker {
  readonly fastify: FastifyInstance
  /** Whether a route of the gateway matches. */
  claims(message: IncomingMessage): boolean
}

const pending = new WeakMap<IncomingMessage, PendingUpgrade>()
const listeners = new WeakMap<Server, UpgradeListener>()

/** What a request asks to switch to; undefined for an ordinary one. */
export function pendingUpgrade(message: IncomingMessage): PendingUpgrade | undefined {
  return pending.get(message)
}

/** Takes part in the upgrades of the server that a gateway is served by. Returns how to end that. */
export function takeUpgrades(taker: UpgradeTaker): () => void {
  const { server } = taker.fastify
  const listener = listeners.get(server) ?? new UpgradeListener(server)
  listeners.set(server, listener)
  listener.add(taker)
  return () => listener.delete(taker)
}

/**
 * Node.js hands over the connection of every request with an Upgrade once somebody listens for them. So that an Upgrade
 * costs nobody their ordinary answer, such requests go through Fastify like all others, routes and hooks included, and
 * only a gateway's route makes something of them.
 *
 * There is one listener a server, however many gateways it serves. Where others listen too, the connection is theirs if
 * they take it at once, or if no gateway has a route for the request.
 */
class UpgradeListener {
  private readonly server: Server
  private readonly takers = new Set<UpgradeTaker>()
  private readonly onUpgrade = (message: IncomingMessage, stream: Duplex, head: Buffer): void => {
    const [taker] = this.takers
    if (taker === undefined || !(message.socket instanceof Socket)) return
    const protocols = requestedProtocols(message)
    if (protocols !== undefined) {
      pending.set(message, { protocols, socket: message.socket, early: head, switched: false })
    }
    if (this.server.listenerCount('upgrade') === 1) serve(taker.fastify, message, stream, head)
    else this.waitForOthers(message, stream, head)
  }

  constructor(server: Server) {
    this.server = server
  }

  add(taker: UpgradeTaker): void {
    // First, so that the request is known by the time another listener has it routed.
    if (this.takers.size === 0) this.server.prependListener('upgrade', this.onUpgrade)
    this.takers.add(taker)
  }

  delete(taker: UpgradeTaker): void {
    this.takers.delete(taker)
    if (this.takers.size === 0) this.server.off('upgrade', this.onUpgrade)
  }

  private waitForOthers(message: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { socket } = message
    const written = socket.bytesWritten
    socket.on('error', ignore)
    setImmediate(() => {
      const taken =
        socket.destroyed || socket.bytesWritten !== written || hasReader(socket) || responseOf(socket) !== undefined
      const taker = taken ? undefined : [...this.takers].find((taker) => taker.claims(message))
      if (!taken) socket.off('error', ignore)
      if (taker !== undefined) serve(taker.fastify, message, stream, head)
    })
  }
}

function serve(fastify: FastifyInstance, message: IncomingMessage, stream: Duplex, head: Buffer): void {
  if (pending.has(message) || !serveAsOrdinary(message, stream, head)) route(fastify, message)
}

/** Lets Fastify answer on a connection that its parser has left. It closes after an ordinary answer. */
function route(fastify: FastifyInstance, message: IncomingMessage): void {
  const { socket } = message
  const upgrade = pending.get(message)
  socket.on('error', ignore)
  // Node.js tells responses no more when they may go on.
  socket.on('drain', () => responseOf(socket)?.emit('drain'))
  socket.on('end', () => {
    // As for any request, a client that closes before it has its answer has left.
    if (upgrade?.switched !== true) socket.destroy()
  })
  afterAnswers(socket, () => {
    if (!socket.writable) return
    const response = new ServerResponse(message)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.on('finish', () => {
      if (upgrade?.switched !== true) linger(socket)
    })
    fastify.routing(message, response)
  })
}

function hasReader(socket: Socket): boolean {
  return socket.listenerCount('data') > 0 || socket.listenerCount('readable') > 0
}

/** Errors of a connection are followed by its close, which is what everybody listens to. */
function ignore(): void {}
