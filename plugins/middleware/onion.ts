import type { Exchange } from './exchange.ts'
import { type CompiledLayer, compile } from './layers.ts'
import { isPending, report, toError } from './outcome.ts'
import { Passage } from './passage.ts'
import type { EnterDone, LeaveDone, SingleLayer } from './types.ts'

/** The layers of one route, ready to run. Holds no state of any exchange. */
export class Onion {
  readonly layers: readonly CompiledLayer[]
  /** Whether any layer looks at the response; if none does, it need not pass through `leave`. */
  readonly hasResponseHalf: boolean
  /** Whether any layer must hear how the exchange ended. */
  readonly hasEnd: boolean

  constructor(layers: readonly SingleLayer[]) {
    this.layers = layers.map((layer) => compile(layer))
    this.hasResponseHalf = this.layers.some((layer) => layer.handle !== undefined || layer.onSend !== undefined)
    this.hasEnd = this.layers.some((layer) => layer.handle !== undefined || layer.onResponse !== undefined)
  }

  /**
   * Runs the request halves. `done` is called when the exchange may go on, or with the error that no layer caught;
   * never when a layer answered or the client left.
   */
  enter(exchange: Exchange, done: EnterDone): void {
    exchange.onion = new Passage(this, exchange)
    exchange.onion.enter(done)
  }

  /** Runs the response halves of the layers the exchange is inside of; `done` gets the body to send. */
  leave(exchange: Exchange, payload: unknown, done: LeaveDone): void {
    if (exchange.onion === undefined) done(null, payload)
    else exchange.onion.leave(payload, done)
  }

  /** Runs the onResponse halves of the outermost `entered` layers, the innermost first. What they throw is logged. */
  finish(exchange: Exchange, entered: number): void {
    for (let index = entered - 1; index >= 0; index--) {
      const onResponse = this.layers[index]?.onResponse
      if (onResponse === undefined) continue
      try {
        const result = onResponse(exchange)
        if (isPending(result, exchange)) result.then(undefined, (error) => report(exchange, toError(error)))
      } catch (error) {
        report(exchange, toError(error))
      }
    }
  }
}
