import type { Duplex } from 'node:stream'
import type { Target } from '../../balancer/index.ts'

/** The request of one attempt, complete but for its body: nothing in it is looked at or changed by a transport. */
export interface TransportRequest {
  readonly target: Target
  readonly method: string
  /** Request target as it goes on the wire: path and query. */
  readonly path: string
  /** Flat header pairs, `host` included, framing (`content-length`, `transfer-encoding`) excluded. */
  readonly headers: readonly string[]
  readonly body: BodySource | undefined
  /** Milliseconds until the connection must stand; 0 = no limit. */
  readonly connectTimeout: number
  /** Never take a connection that has served a request before. */
  readonly fresh: boolean
  /** The protocol that the client wants to switch to; undefined for an ordinary request. */
  readonly upgrade: string | undefined
  /** Ask the target for 100 (Continue) and send the body only then (RFC 9110, section 10.1.1). */
  readonly expectContinue: boolean
}

/** Where the bytes of a request body come from. A source may be started again: it replays what it has kept. */
export interface BodySource {
  /** Bytes of the body, or -1 when unknown: it is sent chunked then. */
  readonly length: number
  start(sink: BodySink): void
  /** The sink takes bytes again after it had answered `false`. */
  resume(): void
  /** The sink takes no more; bytes not yet read stay where they are. */
  stop(): void
}

/** Where the bytes of a request body go. */
export interface BodySink {
  /** Returns `false` when the source should wait for `resume()`. */
  writeBody(chunk: Buffer): boolean
  endBody(trailers: readonly string[]): void
}

/**
 * Told what happens to one attempt. One of `onEnd`, `onUpgrade` and `onError` is the last call, and comes exactly once,
 * unless aborted.
 */
export interface TransportHandler {
  /** Bytes are about to be handed to the connection: from here on the target may have seen the request. */
  onSent(): void
  /** The request is handed over completely. */
  onRequestEnd(): void
  /** Bytes of the request body moved. */
  onProgress(): void
  /** A 1xx answer other than 101; 100 (Continue) included. */
  onInformation(status: number, headers: string[]): void
  onHead(head: ResponseHead): void
  /**
   * The target switched protocols, as was asked for: its connection belongs to the handler now, paused, with `early`
   * being what had arrived behind the head.
   */
  onUpgrade(head: ResponseHead, socket: Duplex, early: Buffer): void
  /** Returns `false` to have no more data until `resume()`. */
  onData(chunk: Buffer): boolean
  /** Everything that was read so far is handed on, and the response is not complete. */
  onReadEnd(): void
  onEnd(trailers: string[]): void
  onError(error: Error): void
}

/** The head of a final response, as the target sent it. */
export interface ResponseHead {
  readonly status: number
  readonly reason: string
  /** Flat header pairs, names spelt as the target did. */
  readonly headers: string[]
  /** Bytes of the body that follow; -1 chunked, -2 up to the end of the connection. */
  readonly length: number
}

/** Handle of an attempt under way. */
export interface TransportAttempt {
  resume(): void
  /** Ends the attempt at once; no callback follows. */
  abort(): void
}

/** Carries attempts to targets. The seam behind which protocols and clients are exchanged. */
export interface Transport {
  dispatch(request: TransportRequest, handler: TransportHandler): TransportAttempt
  /** Drops every connection, idle or not. */
  destroy(): void
}

/**
 * Thrown at an attempt that its target has not begun to process and never will, as the target itself says (RFC 9113,
 * section 8.7). Any request may be sent again.
 */
export interface Unprocessed {
  readonly unprocessed: true
}

/**
 * Thrown at an attempt that its target turned away before a response, because it has too much to do on that connection.
 * It does not say that it has not begun to process the request.
 */
export interface Overloaded {
  readonly overloaded: true
}

/** Thrown at an attempt whose reused connection turned out to be closed before the target had answered anything. */
export interface StaleConnection {
  readonly stale: true
}
