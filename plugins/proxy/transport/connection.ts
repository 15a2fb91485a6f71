import type { Duplex } from 'node:stream'
import { BadResponseError, ConnectFailedError, ConnectTimeoutError, TargetClosedError } from '../../errors.ts'
import { afterPoll, type Polled } from './after-poll.ts'
import { ResponseParser } from './response-parser.ts'
import { switchedTo } from './switching.ts'
import type {
  BodySink,
  ResponseHead,
  StaleConnection,
  TransportAttempt,
  TransportHandler,
  TransportRequest
} from './types.ts'
import { outliveWriteFailure } from './write-failure.ts'

/** What a connection needs of the socket below it. */
export interface ConnectionSocket extends Duplex {
  readonly bytesRead: number
  setNoDelay(noDelay?: boolean): unknown
}

/** What a connection needs of the pool that owns it. */
export interface ConnectionOwner {
  /** The connection is free for another request. */
  onFree(connection: Connection): void
  /** The connection is closed, or serves another protocol from now on. */
  onClose(connection: Connection): void
}

/** Milliseconds to wait for a target's 100 (Continue): not all send it, so the body follows in any case. */
const CONTINUE_LIMIT = 1_000
const CHUNKED_END = '0\r\n\r\n'

/**
 * One keep-alive HTTP/1.1 connection to a target; carries one request at a time.
 *
 * A connection is only reused after a message that was understood to its last byte, with nothing behind it; in every
 * other case it is destroyed, since bytes left over would be taken for the answer to somebody else's request.
 */
export class Connection implements BodySink, TransportAttempt, Polled {
  /** When it became idle, in milliseconds of the pool's clock. */
  idleSince = 0
  /** Milliseconds the target said it keeps an idle connection, or -1. */
  keepAliveHint = -1

  private readonly owner: ConnectionOwner
  private readonly socket: ConnectionSocket
  private readonly parser: ResponseParser
  private request: TransportRequest | undefined = undefined
  private handler: TransportHandler | undefined = undefined
  private served = 0
  private connected = false
  private failure: Error | undefined = undefined
  private connectTimer: NodeJS.Timeout | undefined = undefined
  private continueTimer: NodeJS.Timeout | undefined = undefined
  /** The request waits for proof that the connection still stands. */
  private checking = false
  private requestEnded = false
  private reusable = false
  private switched = false
  private readonly listeners = {
    data: (chunk: Buffer) => this.onRead(chunk),
    drain: () => this.onDrain(),
    end: () => this.onTargetEnd(),
    error: (error: Error) => {
      this.failure ??= error
    },
    close: () => this.onClose()
  }

  constructor(owner: ConnectionOwner, socket: ConnectionSocket, connectEvent: 'connect' | 'secureConnect') {
    this.owner = owner
    this.socket = socket
    this.parser = new ResponseParser(this)
    socket.setNoDelay(true)
    // What the end of the target's side means is decided in onTargetEnd.
    socket.allowHalfOpen = true
    socket.once(connectEvent, () => this.onConnect())
    const { data, drain, end, error, close } = this.listeners
    socket.on('data', data).on('drain', drain).on('end', end).on('error', error).on('close', close)
    outliveWriteFailure(socket, () => this.request?.body?.stop())
  }

  /** True when bytes of an answer may still be on their way, or the socket is gone. */
  get unusable(): boolean {
    return this.socket.destroyed || this.socket.readableEnded || !this.socket.writable
  }

  start(request: TransportRequest, handler: TransportHandler): TransportAttempt {
    this.request = request
    this.handler = handler
    this.requestEnded = false
    this.reusable = false
    if (this.connected) {
      // What is sent on a connection that its target has just closed is lost, and nobody can tell whether it was seen;
      // and what the target wrote before it was asked must not pass for the answer.
      this.checking = true
      afterPoll(this)
    } else if (request.connectTimeout > 0) {
      this.connectTimer = setTimeout(() => {
        this.fail(new ConnectTimeoutError(request.connectTimeout))
      }, request.connectTimeout)
    }
    return this
  }

  resume(): void {
    if (this.handler !== undefined) this.socket.resume()
  }

  abort(): void {
    this.detach()
    this.socket.destroy()
  }

  destroy(): void {
    this.socket.destroy()
  }

  writeBody(chunk: Buffer): boolean {
    if (this.handler === undefined || chunk.length === 0) return true
    this.handler.onProgress()
    if (this.request?.body?.length !== -1) return this.socket.write(chunk)
    this.socket.cork()
    this.socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
    this.socket.write(chunk)
    const more = this.socket.write('\r\n', 'latin1')
    this.socket.uncork()
    return more
  }

  endBody(trailers: readonly string[]): void {
    if (this.handler === undefined) return
    if (this.request?.body?.length === -1) {
      let end = CHUNKED_END
      if (trailers.length > 0) end = `0\r\n${fieldLines(trailers)}\r\n`
      this.socket.write(end, 'latin1')
    }
    this.onRequestDone()
  }

  onInformation(status: number, headers: string[]): void {
    if (status === 100) this.sendBody()
    this.handler?.onInformation(status, headers)
  }

  onHead(head: ResponseHead): void {
    // The target has decided without the body.
    if (this.continueTimer !== undefined) this.stopWaiting()
    this.handler?.onHead(head)
  }

  /** Hands the socket over: from here on it is neither the pool's nor a connection of HTTP. */
  onUpgrade(head: ResponseHead, early: Buffer): void {
    const { handler, request, socket } = this
    if (switchedTo(request?.upgrade ?? '', head.headers) === undefined) {
      throw new BadResponseError('101 to a protocol that was not asked for')
    }
    this.switched = true
    const { data, drain, end, error, close } = this.listeners
    socket.off('data', data).off('drain', drain).off('end', end).off('error', error).off('close', close)
    socket.pause()
    this.detach()
    this.owner.onClose(this)
    handler?.onUpgrade(head, socket, early)
  }

  onBody(chunk: Buffer): void {
    if (this.handler?.onData(chunk) === false) this.socket.pause()
  }

  onMessageEnd(trailers: string[]): void {
    const { handler } = this
    if (handler === undefined) return
    // An answer that overtakes its request leaves the rest of the body with nowhere to go.
    this.reusable = this.parser.reusable && this.requestEnded
    this.served++
    this.detach()
    handler.onEnd(trailers)
  }

  private onConnect(): void {
    this.connected = true
    clearTimeout(this.connectTimer)
    if (this.handler !== undefined) this.send()
  }

  /** All news of the connection has been heard, and it still stands. */
  onPolled(): void {
    if (!this.checking || this.unusable) return
    this.checking = false
    this.send()
  }

  private send(): void {
    const { request, handler, socket } = this
    if (request === undefined || handler === undefined) return
    const { body } = request
    this.parser.begin(request.method, request.upgrade !== undefined)
    handler.onSent()
    let head = `${request.method} ${request.path} HTTP/1.1\r\n${fieldLines(request.headers)}`
    if (request.upgrade !== undefined) head += `connection: upgrade\r\nupgrade: ${request.upgrade}\r\n`
    if (body !== undefined) {
      head += body.length === -1 ? 'transfer-encoding: chunked\r\n' : `content-length: ${body.length}\r\n`
    }
    if (request.expectContinue) head += 'expect: 100-continue\r\n'
    socket.write(`${head}\r\n`, 'latin1')
    if (body === undefined) this.onRequestDone()
    else if (request.expectContinue) this.continueTimer = setTimeout(() => this.sendBody(), CONTINUE_LIMIT)
    else body.start(this)
  }

  /** Sends the body that was held back, unless that was done before. */
  private sendBody(): void {
    if (this.continueTimer === undefined) return
    this.stopWaiting()
    this.request?.body?.start(this)
  }

  private stopWaiting(): void {
    clearTimeout(this.continueTimer)
    this.continueTimer = undefined
  }

  private onRequestDone(): void {
    this.requestEnded = true
    this.handler?.onRequestEnd()
  }

  private onRead(chunk: Buffer): void {
    if (this.handler === undefined || this.checking) {
      // Nobody asked: whatever this is, it must not become the answer to the next request.
      this.socket.destroy()
      return
    }
    let clean: boolean
    try {
      clean = this.parser.execute(chunk)
      this.handler?.onReadEnd()
    } catch (error) {
      this.fail(error instanceof Error ? error : new BadResponseError(String(error)))
      return
    }
    if (this.switched || this.handler !== undefined) return
    if (clean && this.reusable && !this.unusable) this.release()
    else this.socket.destroy()
  }

  private release(): void {
    this.keepAliveHint = this.parser.keepAliveHint * 1000
    this.socket.resume()
    this.owner.onFree(this)
  }

  private onDrain(): void {
    if (this.handler === undefined) return
    this.handler.onProgress()
    this.request?.body?.resume()
  }

  private onTargetEnd(): void {
    if (this.handler === undefined || !this.parser.untilClose) {
      this.socket.destroy()
      return
    }
    // A reset right behind the last data is reported as an orderly end. The system tells them apart when something is
    // written, even if that is nothing.
    this.socket.write('', (error) => {
      if (!error && this.handler !== undefined) this.parser.finish()
      this.socket.destroy()
    })
  }

  private onClose(): void {
    clearTimeout(this.connectTimer)
    this.owner.onClose(this)
    if (this.handler === undefined) return
    if (!this.connected) this.fail(new ConnectFailedError({ cause: this.failure }))
    else if (this.served > 0 && (this.checking || this.parser.untouched)) this.fail(stale(this.failure))
    else this.fail(new TargetClosedError({ cause: this.failure }))
  }

  private fail(error: Error): void {
    const { handler } = this
    this.detach()
    this.socket.destroy()
    handler?.onError(error)
  }

  private detach(): void {
    clearTimeout(this.connectTimer)
    if (this.continueTimer !== undefined) this.stopWaiting()
    this.request?.body?.stop()
    this.request = undefined
    this.handler = undefined
  }
}

/** True for the failure of a connection that had served before and was closed without a byte of an answer. */
export function isStale(error: Error): boolean {
  return 'stale' in error
}

/** True for an attempt that its target says it has not processed. */
export function isUnprocessed(error: Error): boolean {
  return 'unprocessed' in error
}

/** True for an attempt that its target turned away, with too much to do on that connection. */
export function isOverloaded(error: Error): boolean {
  return 'overloaded' in error
}

function stale(cause: Error | undefined): Error & StaleConnection {
  return Object.assign(new TargetClosedError({ cause }), { stale: true } as const)
}

function fieldLines(pairs: readonly string[]): string {
  let lines = ''
  for (let i = 0; i < pairs.length; i += 2) lines += `${pairs[i]}: ${pairs[i + 1]}\r\n`
  return lines
}
