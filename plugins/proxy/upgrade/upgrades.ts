import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { BadFramingError, ClosingError } from '../../errors.ts'
import type { Deadlines } from '../forwarding/deadlines.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import type { ResponseHead } from '../transport/index.ts'
import { upgradeOf } from '../transport/switching.ts'
import { type PendingUpgrade, pendingUpgrade } from './listener.ts'
import { hasBody } from './requested-protocols.ts'
import { answerSwitch } from './switch-answer.ts'
import { Tunnel } from './tunnel.ts'

/** A target's 101, and the connection that came with it. */
export interface Switch {
  readonly head: ResponseHead
  /** The response headers for the client, flat pairs. */
  readonly pairs: string[]
  readonly socket: Duplex
  /** What had arrived behind the head. */
  readonly early: Buffer
  /** Milliseconds that the tunnel may be idle; 0 = no limit. */
  readonly idle: number
  /** The target is done with. */
  readonly onRelease: () => void
}

/** The upgrades of one gateway, from the target's 101 to the end of the tunnel. */
export class Upgrades {
  private readonly deadlines: Deadlines
  private readonly tunnels = new Set<Tunnel>()
  /** Milliseconds that tunnels get, once the gateway closes. */
  private limit: number | undefined = undefined

  constructor(deadlines: Deadlines) {
    this.deadlines = deadlines
  }

  /**
   * What a request with an Upgrade asks to switch to, if its route lets it. Throws ClosingError, and BadFramingError for
   * a body that was not read: Node.js takes what follows the head for bytes of the other protocol.
   */
  read(message: IncomingMessage, allowed: boolean): PendingUpgrade | undefined {
    const upgrade = allowed ? pendingUpgrade(message) : undefined
    if (upgrade !== undefined && this.limit !== undefined) throw new ClosingError()
    const detached = 'upgrade' in message && message.upgrade === true
    if (detached && message.complete && message.readableLength === 0 && hasBody(message.headers)) {
      throw new BadFramingError('a body together with an upgrade')
    }
    return upgrade
  }

  /** Joins client and target, once the layers have seen the 101 and it is sent. */
  open(exchange: GatewayExchange, { head, pairs, socket, early, idle, onRelease }: Switch): void {
    const { upgrade } = exchange
    if (upgrade === undefined) return
    const protocol = upgradeOf(head.headers) ?? ''
    const tunnel = new Tunnel({
      exchange,
      client: upgrade.socket,
      target: socket,
      protocol,
      deadlines: this.deadlines,
      idle,
      onRelease,
      onClose: (tunnel) => this.tunnels.delete(tunnel)
    })
    this.tunnels.add(tunnel)
    if (this.limit !== undefined) tunnel.drain(this.limit)
    answerSwitch(exchange, { head, pairs, protocol }, (sent) => {
      upgrade.switched = sent
      if (sent) tunnel.start(upgrade.early, early)
      else tunnel.abandon()
    })
  }

  /** Ends all tunnels within `limit` milliseconds, and lets none begin. */
  drain(limit: number): void {
    this.limit = limit
    for (const tunnel of this.tunnels) tunnel.drain(limit)
  }
}
