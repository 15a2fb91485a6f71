import { InvalidMiddlewareError, NextCalledTwiceError } from '../errors.ts'
import type { Exchange } from './exchange.ts'
import { type CompiledLayer, compile, flatten } from './layers.ts'
import type { Layer, LayerFunction, LayerGroup, Next } from './types.ts'

/** An onion as one function; `next` is what runs at its centre. */
export type Composed<C = Exchange> = LayerGroup<C> & ((context: C, next?: Next) => Promise<void>)

/** Layers being chained by calls. */
export interface Chain<C = Exchange> extends LayerGroup<C> {
  /** A new chain with one more layer, or several, inside those so far. */
  use(layer: Layer<C> | readonly Layer<C>[]): Chain<C>
  /**
   * Ends the chain with a handler at its centre. This makes a chain look like a promise to `await`,
   * so never await one, and never return one from an async function: that rejects.
   */
  then(handler: (context: C) => void | Promise<void>): (context: C) => Promise<void>
}

/** What `compose` looks at in a context when a layer is a pair of hooks. */
interface Answerable {
  /** Whether an answer was given, so that the way in ends here. */
  readonly answered?: boolean
  /** Body of the answer. */
  payload?: unknown
}

/**
 * Makes one onion of many layers; it runs on any context, with or without Fastify.
 * Given to `app.middleware.use` it is taken apart again, so that each layer runs as if it had been given by itself.
 * Run by itself, `onResponse` of a pair is called when its part of the onion has unwound.
 *
 * Throws `InvalidMiddlewareError` for what is not a layer; the promise rejects with whatever a layer threw,
 * or with `NextCalledTwiceError`.
 */
export function compose<C extends object = Exchange>(layers: readonly Layer<C>[]): Composed<C> {
  const flat = flatten(layers)
  const steps = flat.map((layer) => toStep(compile(layer)))

  function composed(context: C, next?: Next): Promise<void> {
    let reached = -1
    return dispatch(0)

    async function dispatch(index: number): Promise<void> {
      if (index <= reached) throw new NextCalledTwiceError()
      reached = index
      const step = steps[index]
      if (step === undefined) await next?.()
      else await step(context, () => dispatch(index + 1))
    }
  }

  return Object.assign(composed, { layers: flat })
}

/** Begins a chain: `chain().use(a).use(b)` is the onion of `compose([a, b])`. */
export function chain<C extends object = Exchange>(): Chain<C> {
  return link<C>([])
}

function link<C extends object>(layers: LayerGroup<C>['layers']): Chain<C> {
  return {
    layers,
    use: (layer) => link([...layers, ...flatten(layer)]),
    // biome-ignore lint/suspicious/noThenProperty: `then` is the word for what a chain ends with.
    then(handler, ...rest: unknown[]) {
      // `await` passes two functions; without this the awaiting code would hang for ever.
      const reject = rest[0]
      if (typeof reject === 'function') reject(new InvalidMiddlewareError('a chain cannot be awaited'))
      return compose<C>([...layers, { name: 'handler', handle: (context, _next) => handler(context) }])
    }
  }
}

function toStep<C extends object>(layer: CompiledLayer<C>): LayerFunction<C> {
  const { handle, onRequest, onSend, onResponse } = layer
  if (handle !== undefined) return handle
  return async (context, next) => {
    const view: Answerable = context
    await onRequest?.(context)
    if (view.answered === true) return
    try {
      await next()
      const payload = await onSend?.(context, view.payload)
      if (payload !== undefined) view.payload = payload
    } finally {
      onResponse?.(context)
    }
  }
}
