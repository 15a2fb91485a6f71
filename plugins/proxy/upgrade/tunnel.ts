import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ClientClosedError, ClosingError, IdleTimeoutError, TargetClosedError } from '../../errors.ts'
import { reset } from '../answer/reset.ts'
import type { Deadlines, Expiring } from '../forwarding/deadlines.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import { Direction, type DirectionEvents } from './direction.ts'
import { WebSocketFrames } from './websocket-frames.ts'

export interface TunnelSetup {
  readonly exchange: GatewayExchange
  readonly client: Socket
  readonly target: Duplex
  /** The protocol that was switched to. */
  readonly protocol: string
  readonly deadlines: Deadlines
  /** Milliseconds without a byte in either direction; 0 = no limit. */
  readonly idle: number
  /** The target is done with: called once, before the client's connection closes. */
  readonly onRelease: () => void
  /** Both connections are closed: called once, last. */
  readonly onClose: (tunnel: Tunnel) => void
}

/**
 * Two connections joined after a switch of protocols. Bytes pass as they are, each half closes when its source has
 * closed it, and the loss of one connection is the loss of the other: what broke off is never made to look like an end.
 */
export class Tunnel implements DirectionEvents, Expiring {
  deadline = Number.POSITIVE_INFINITY

  private readonly setup: TunnelSetup
  private readonly client: Socket
  private readonly target: Duplex
  private readonly websocket: boolean
  private readonly up: Direction
  private readonly down: Direction
  private started = false
  private draining = false
  private released = false
  private broken = false
  /** Connections that are not closed. */
  private left = 2
  private readonly listeners = {
    clientError: () => this.onLoss(this.client, undefined),
    clientClose: () => this.onSocketClose(this.client),
    targetError: (error: Error) => this.onLoss(this.target, error),
    targetClose: () => this.onSocketClose(this.target)
  }

  constructor(setup: TunnelSetup) {
    const { client, target, protocol, deadlines } = setup
    this.setup = setup
    this.client = client
    this.target = target
    this.websocket = protocol.toLowerCase() === 'websocket'
    const frames = () => (this.websocket ? new WebSocketFrames() : undefined)
    this.up = new Direction({ source: client, sink: target, frames: frames(), masked: true }, this)
    this.down = new Direction({ source: target, sink: client, frames: frames(), masked: false }, this)
    // The end of one direction says nothing about the other.
    client.allowHalfOpen = true
    target.allowHalfOpen = true
    const { clientError, clientClose, targetError, targetClose } = this.listeners
    client.on('error', clientError).on('close', clientClose)
    target.on('error', targetError).on('close', targetClose)
    deadlines.add(this)
  }

  /** Lets the bytes flow: what either side has sent already, then all that follows. */
  start(fromClient: Buffer, fromTarget: Buffer): void {
    if (this.broken) return
    this.started = true
    this.client.setTimeout(0)
    this.onWritten()
    this.up.start(fromClient)
    this.down.start(fromTarget)
    if (this.draining) this.sayGoodbye()
  }

  /** The client gets another answer after all. */
  abandon(): void {
    if (this.broken) return
    this.broken = true
    const { clientError, clientClose } = this.listeners
    this.client.off('error', clientError).off('close', clientClose)
    this.target.destroy()
    this.release()
    this.close()
  }

  /**
   * Brings the tunnel to its end: both sides of a WebSocket get a close frame, 1001, unless they are closing already.
   * What is left after `limit` milliseconds is cut.
   */
  drain(limit: number): void {
    if (this.draining || this.broken) return
    this.draining = true
    this.deadline = this.setup.deadlines.after(Math.max(limit, 1))
    if (this.started) this.sayGoodbye()
  }

  onBytes(direction: Direction, count: number): void {
    const { exchange } = this.setup
    if (direction === this.down) exchange.bytes += count
    else exchange.receivedBytes += count
    this.onWritten()
  }

  onWritten(): void {
    const { deadlines, idle } = this.setup
    if (!this.draining) this.deadline = deadlines.after(idle)
  }

  onSourceEnd(direction: Direction): void {
    if (!direction.silenced) this.finish(direction.sink)
    this.onSilent()
    if (this.up.ended && this.down.ended) this.release()
  }

  /** A side that has got its close frame, and has sent its own, is done. */
  onSilent(): void {
    if (this.down.silenced && this.up.closed) this.finish(this.client)
    if (this.up.silenced && this.down.closed) this.finish(this.target)
  }

  onDeadline(): void {
    const error = this.draining ? new ClosingError() : new IdleTimeoutError(this.setup.idle)
    this.report(error, 'tunnel cut')
    // A WebSocket that ends without a close frame is visibly cut; of other protocols, only a reset tells.
    if (this.websocket || this.draining) this.break(error, [], [this.client, this.target])
    else this.break(error, [this.client, this.target], [])
  }

  private sayGoodbye(): void {
    if (!this.websocket || this.up.closed || this.down.closed) return
    this.up.close()
    this.down.close()
  }

  private finish(side: Duplex): void {
    if (side.writableEnded) return
    // To Fastify and to layers, this is the end of a complete response.
    if (side === this.client) this.setup.exchange.reply.raw.end()
    side.end()
  }

  private onSocketClose(side: Duplex): void {
    const direction = side === this.client ? this.up : this.down
    if (!direction.ended || !side.writableFinished) this.onLoss(side, undefined)
    this.left--
    if (this.left === 0) this.close()
  }

  private onLoss(side: Duplex, cause: Error | undefined): void {
    if (this.broken) return
    if (side === this.client) {
      const error = new ClientClosedError()
      this.report(error, 'client left')
      this.break(error, [this.target], [this.client])
    } else {
      const error = new TargetClosedError({ cause })
      this.report(error, 'tunnel cut')
      this.break(error, [this.client], [this.target])
    }
  }

  private break(error: Error, resets: readonly Duplex[], destroys: readonly Duplex[]): void {
    this.broken = true
    this.setup.exchange.error ??= error
    this.release()
    for (const side of resets) reset(side)
    for (const side of destroys) side.destroy()
  }

  private release(): void {
    if (this.released) return
    this.released = true
    this.setup.onRelease()
  }

  private close(): void {
    this.setup.deadlines.delete(this)
    this.setup.onClose(this)
  }

  private report(error: Error, message: string): void {
    const { request, upstream, target } = this.setup.exchange
    const level = error instanceof TargetClosedError ? 'warn' : 'info'
    request.log[level]({ err: error, upstream, target }, message)
  }
}
