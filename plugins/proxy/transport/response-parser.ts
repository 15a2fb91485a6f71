import { BadResponseError } from '../../errors.ts'
import { readChunkSize } from './chunk-size.ts'
import { readFields } from './fields.ts'
import type { ResponseHead } from './types.ts'

/** Told what the parser finds. Nothing is called from within `finish()` but `onMessageEnd`. */
export interface ParserEvents {
  onInformation(status: number, headers: string[]): void
  onHead(head: ResponseHead): void
  /** A 101, where it was expected; `early` is what has arrived behind it. Nothing more is parsed. */
  onUpgrade(head: ResponseHead, early: Buffer): void
  onBody(chunk: Buffer): void
  onMessageEnd(trailers: string[]): void
}

const HEAD = 0
const LENGTH = 1
const CHUNK_SIZE = 2
const CHUNK_DATA = 3
const CHUNK_END = 4
const TRAILERS = 5
const UNTIL_CLOSE = 6
const IDLE = 7

const CR = 13
const LF = 10

const MAX_HEAD = 64 * 1024
const MAX_CHUNK_LINE = 4 * 1024
const MAX_INFORMATION = 32
const NONE: string[] = []
const EMPTY = Buffer.alloc(0)
const HEAD_END = Buffer.from('\r\n\r\n', 'latin1')

/**
 * Incremental, strict parser of HTTP/1.x responses (RFC 9112), one instance a connection.
 * What it does not understand in full is an error, never a guess: bare LF, obs-fold, repeated or odd lengths,
 * transfer codings other than chunked, control bytes.
 *
 * Bodies are handed on as slices of what was read, without a copy.
 */
export class ResponseParser {
  /** After the end of a message: whether the connection may carry another one. */
  reusable = false
  /** Seconds of the target's `Keep-Alive: timeout=N`, or -1. */
  keepAliveHint = -1

  private readonly events: ParserEvents
  private state = IDLE
  private bodyless = false
  private upgradable = false
  private held: Buffer = EMPTY
  private remaining = 0
  private informations = 0

  constructor(events: ParserEvents) {
    this.events = events
  }

  /** Expects the response to a request with this method, which may have asked for another protocol. */
  begin(method: string, upgradable = false): void {
    this.state = HEAD
    this.bodyless = method === 'HEAD'
    this.upgradable = upgradable
    this.held = EMPTY
    this.informations = 0
    this.keepAliveHint = -1
  }

  /** True while nothing of a response has arrived. */
  get untouched(): boolean {
    return this.state === HEAD && this.held.length === 0 && this.informations === 0
  }

  /** True within a body that ends with the connection. */
  get untilClose(): boolean {
    return this.state === UNTIL_CLOSE
  }

  /** Takes what was read. Throws BadResponseError. Returns false when bytes follow the end of the message. */
  execute(input: Buffer): boolean {
    let data = input
    if (this.held.length > 0) {
      data = Buffer.concat([this.held, input])
      this.held = EMPTY
    }
    let at = 0
    while (at < data.length) {
      if (this.state === IDLE) return false
      at = this.step(data, at)
      if (at < 0) return true
    }
    return true
  }

  /** The target closed its side, in order. */
  finish(): void {
    if (this.untilClose) this.end(NONE)
  }

  /** Consumes from `at`, returns where it stopped, or -1 when the rest is held back until more arrives. */
  private step(data: Buffer, at: number): number {
    switch (this.state) {
      case HEAD:
        return this.readHead(data, at)
      case LENGTH:
      case CHUNK_DATA:
        return this.readCounted(data, at)
      case CHUNK_SIZE:
        return this.readChunkSize(data, at)
      case CHUNK_END:
        return this.readChunkEnd(data, at)
      case TRAILERS:
        return this.readTrailers(data, at)
      default:
        this.events.onBody(at === 0 ? data : data.subarray(at))
        return data.length
    }
  }

  private readHead(data: Buffer, at: number): number {
    const end = data.indexOf(HEAD_END, at)
    if (end < 0) {
      checkPartialHead(data, at)
      return this.hold(data, at, MAX_HEAD, 'head too large')
    }
    if (end - at > MAX_HEAD) throw new BadResponseError('head too large')

    const text = data.toString('latin1', at, end)
    const lineEnd = text.indexOf('\r\n')
    const statusLine = lineEnd < 0 ? text : text.slice(0, lineEnd)
    const status = readStatus(statusLine)
    const fields = readFields(text, lineEnd < 0 ? text.length : lineEnd + 2)
    const minor = statusLine.charCodeAt(7) - 48
    const reason = statusLine.slice(13)
    if (status === 101) {
      if (!this.upgradable) throw new BadResponseError('101 without a request to upgrade')
      if (minor === 0) throw new BadResponseError('101 in HTTP/1.0')
      this.state = IDLE
      this.events.onUpgrade({ status, reason, headers: fields.headers, length: 0 }, data.subarray(end + 4))
      return data.length
    }
    const { contentLength, transferEncoding } = fields
    if (contentLength !== -1 && transferEncoding !== undefined) {
      throw new BadResponseError('both content-length and transfer-encoding')
    }
    if (status < 200) {
      if (fields.close) throw new BadResponseError('informational response that closes')
      if (minor === 0) throw new BadResponseError('informational response in HTTP/1.0')
      if (++this.informations > MAX_INFORMATION) throw new BadResponseError('too many informational responses')
      this.events.onInformation(status, fields.headers)
      return end + 4
    }

    const length = this.bodyLength(status, minor, contentLength, transferEncoding)
    this.keepAliveHint = fields.keepAliveHint
    this.reusable = length !== -2 && !fields.close && (minor === 1 || fields.keepAlive)
    this.events.onHead({ status, reason, headers: fields.headers, length })
    if (length === 0) this.end(NONE)
    else {
      this.remaining = length
      this.state = length === -1 ? CHUNK_SIZE : length === -2 ? UNTIL_CLOSE : LENGTH
    }
    return end + 4
  }

  /** RFC 9112, section 6.3, without its tolerance. */
  private bodyLength(status: number, minor: number, contentLength: number, coding: string | undefined): number {
    if (coding !== undefined) {
      if (minor === 0) throw new BadResponseError('transfer-encoding in HTTP/1.0')
      if (coding.toLowerCase() !== 'chunked') throw new BadResponseError('unknown transfer-encoding')
    }
    if (this.bodyless || status === 204 || status === 304) return 0
    if (coding !== undefined) return -1
    return contentLength === -1 ? -2 : contentLength
  }

  private readCounted(data: Buffer, at: number): number {
    const take = Math.min(this.remaining, data.length - at)
    const stop = at + take
    this.remaining -= take
    this.events.onBody(take === data.length ? data : data.subarray(at, stop))
    if (this.remaining === 0) {
      if (this.state === LENGTH) this.end(NONE)
      else this.state = CHUNK_END
    }
    return stop
  }

  private readChunkSize(data: Buffer, at: number): number {
    const lineFeed = data.indexOf(LF, at)
    if (lineFeed < 0) return this.hold(data, at, MAX_CHUNK_LINE, 'chunk size line too long')
    if (lineFeed - at > MAX_CHUNK_LINE) throw new BadResponseError('chunk size line too long')

    this.remaining = readChunkSize(data, at, lineFeed)
    this.state = this.remaining === 0 ? TRAILERS : CHUNK_DATA
    return lineFeed + 1
  }

  private readChunkEnd(data: Buffer, at: number): number {
    if (data[at] !== CR) throw new BadResponseError('chunk longer than its size')
    if (at + 1 === data.length) return this.hold(data, at, MAX_CHUNK_LINE, 'chunk end')
    if (data[at + 1] !== LF) throw new BadResponseError('chunk longer than its size')
    this.state = CHUNK_SIZE
    return at + 2
  }

  private readTrailers(data: Buffer, at: number): number {
    if (data[at] === CR && data[at + 1] === LF) {
      this.end(NONE)
      return at + 2
    }
    const end = data.indexOf(HEAD_END, at)
    if (end < 0) {
      checkBareLineFeeds(data, at)
      return this.hold(data, at, MAX_HEAD, 'trailers too large')
    }
    if (end - at > MAX_HEAD) throw new BadResponseError('trailers too large')
    const { headers, contentLength, transferEncoding } = readFields(data.toString('latin1', at, end), 0)
    // Too late to say anything on framing (RFC 9110, section 6.5.1).
    if (contentLength !== -1 || transferEncoding !== undefined) throw new BadResponseError('framing in trailers')
    this.end(headers)
    return end + 4
  }

  private end(trailers: string[]): void {
    this.state = IDLE
    this.events.onMessageEnd(trailers)
  }

  private hold(data: Buffer, at: number, limit: number, what: string): number {
    if (data.length - at > limit) throw new BadResponseError(what)
    this.held = at === 0 ? data : data.subarray(at)
    return -1
  }
}

/** Status code of `HTTP/1.x NNN reason`; 200 and up, or 1xx. */
function readStatus(line: string): number {
  const status = Number(line.slice(9, 12))
  const wellFormed =
    (line.startsWith('HTTP/1.1 ') || line.startsWith('HTTP/1.0 ')) &&
    line.length >= 12 &&
    isDigit(line, 9) &&
    isDigit(line, 10) &&
    isDigit(line, 11) &&
    status >= 100 &&
    (line.length === 12 || line[12] === ' ')
  if (!wellFormed) throw new BadResponseError('no HTTP/1 status line')
  for (let i = 13; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if ((code < 32 && code !== 9) || code === 127) throw new BadResponseError('control byte in the status line')
  }
  return status
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 48 && code <= 57
}

const START = Buffer.from('HTTP/1.', 'latin1')

/** Refuses what can no longer become a head, so that garbage is answered at once and not by a timeout. */
function checkPartialHead(data: Buffer, at: number): void {
  const length = Math.min(START.length, data.length - at)
  if (data.compare(START, 0, length, at, at + length) !== 0) throw new BadResponseError('no HTTP/1 status line')
  checkBareLineFeeds(data, at)
}

function checkBareLineFeeds(data: Buffer, at: number): void {
  for (let i = data.indexOf(LF, at); i >= 0; i = data.indexOf(LF, i + 1)) {
    if (i === at || data[i - 1] !== CR) throw new BadResponseError('bare line feed')
  }
}
