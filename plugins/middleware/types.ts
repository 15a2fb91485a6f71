import type { Exchange } from './exchange.ts'

/** Goes on to the layers inside; resolves when they have unwound and the answer is about to be sent. */
export type Next = () => Promise<void>

/** An onion function: what stands before `await next()` is its request half, what stands after it its response half. */
export type LayerFunction<C = Exchange> = (context: C, next: Next) => void | Promise<void>

/** An onion function with a name of its own. */
export interface NamedLayer<C = Exchange> {
  readonly name: string
  readonly handle: LayerFunction<C>
}

/** A layer as a pair of hooks, without a promise per request while its halves are synchronous. */
export interface LayerPair<C = Exchange> {
  readonly name: string
  /** Request half. Answering here ends the way in. */
  onRequest?(context: C): unknown
  /** Response half. Returns the body to send instead, null for none, undefined to leave it as it is. */
  onSend?(context: C, payload: unknown): unknown
  /** Called once when the exchange has ended: after the last byte, or when the client left. */
  onResponse?(context: C): unknown
}

/** Layers made into one by `compose` or `chain`. */
export interface LayerGroup<C = Exchange> {
  readonly layers: readonly SingleLayer<C>[]
}

/** One layer in either form. */
export type SingleLayer<C = Exchange> = LayerFunction<C> | NamedLayer<C> | LayerPair<C>

/** Whatever can be put into an onion. */
export type Layer<C = Exchange> = SingleLayer<C> | LayerGroup<C>

/** Resumes an interrupted request half; with an error, the exchange goes to Fastify's error handler. */
export type EnterDone = (error?: Error) => void

/** Resumes an interrupted response half with the body to send. */
export type LeaveDone = (error: Error | null, payload?: unknown) => void
