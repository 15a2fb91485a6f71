import type { Transport, TransportAttempt, TransportHandler, TransportRequest } from './types.ts'

/** What carries attempts, by how their target is spoken to. */
export interface Transports {
  /** Targets `http:`, `https:` and `unix:`. */
  readonly network: Transport
  readonly functions: Transport
  readonly apps: Transport
}

/** Hands each attempt to the transport of its target, so that an upstream can have targets of all kinds. */
export class TargetTransport implements Transport {
  private readonly network: Transport
  private readonly functions: Transport
  private readonly apps: Transport

  constructor({ network, functions, apps }: Transports) {
    this.network = network
    this.functions = functions
    this.apps = apps
  }

  dispatch(request: TransportRequest, handler: TransportHandler): TransportAttempt {
    switch (request.target.protocol) {
      case 'function:':
        return this.functions.dispatch(request, handler)
      case 'app:':
        return this.apps.dispatch(request, handler)
      default:
        return this.network.dispatch(request, handler)
    }
  }

  destroy(): void {
    this.network.destroy()
    this.functions.destroy()
    this.apps.destroy()
  }
}
