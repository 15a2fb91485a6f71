import type { Duplex } from 'node:stream'
import { goingAwayFrame, type WebSocketFrames } from './websocket-frames.ts'

/** What a direction tells the tunnel it belongs to. */
export interface DirectionEvents {
  onBytes(direction: Direction, count: number): void
  /** Bytes have left for the sink. */
  onWritten(): void
  /** The source has sent its last byte. */
  onSourceEnd(direction: Direction): void
  /** Frames were read of a source whose sink gets nothing more. */
  onSilent(): void
}

export interface DirectionSetup {
  readonly source: Duplex
  readonly sink: Duplex
  /** Where the frames of a WebSocket end; undefined for other protocols. */
  readonly frames: WebSocketFrames | undefined
  /** Whether frames of ours must be masked. */
  readonly masked: boolean
}

/** One direction of a tunnel: bytes go from one socket to the other as they came, at the pace of the slower one. */
export class Direction {
  readonly source: Duplex
  readonly sink: Duplex
  /** The source has sent its last byte. */
  ended = false
  /** The sink has got a close frame on the gateway's behalf, and gets nothing more. */
  silenced = false

  private readonly events: DirectionEvents
  private readonly frames: WebSocketFrames | undefined
  private readonly masked: boolean
  private readonly onWritten: () => void
  private closing = false

  constructor({ source, sink, frames, masked }: DirectionSetup, events: DirectionEvents) {
    this.source = source
    this.sink = sink
    this.frames = frames
    this.masked = masked
    this.events = events
    this.onWritten = () => events.onWritten()
  }

  /** Whether the source is done with its closing handshake, or can take no more part in it. */
  get closed(): boolean {
    return this.ended || this.frames?.closed === true
  }

  /** Lets the bytes flow, `early` before all others: what was read of the source before there was a tunnel. */
  start(early: Buffer): void {
    const { source, sink } = this
    if (source.readableEnded) {
      if (early.length > 0) this.onData(early)
      this.checkEnd()
      return
    }
    if (early.length > 0) source.unshift(early)
    source.on('data', (chunk: Buffer) => this.onData(chunk))
    source.on('end', () => this.checkEnd())
    sink.on('drain', () => source.resume())
    source.resume()
  }

  /** Puts a close frame in at the next border of frames, and drops what the source sends after it. */
  close(): void {
    this.closing = true
    if (this.frames?.between === true) this.silence()
  }

  private onData(chunk: Buffer): void {
    const { frames } = this
    if (frames === undefined) this.write(chunk)
    else if (this.silenced) this.follow(frames, chunk, 0)
    else if (!this.closing) {
      this.follow(frames, chunk, 0)
      this.write(chunk)
    } else {
      const border = frames.advance(chunk, 0)
      this.write(chunk.subarray(0, border))
      if (frames.between) this.silence()
      this.follow(frames, chunk, border)
    }
    if (this.silenced) this.events.onSilent()
  }

  private follow(frames: WebSocketFrames, chunk: Buffer, from: number): void {
    for (let at = from; at < chunk.length; ) at = frames.advance(chunk, at)
  }

  private write(chunk: Buffer): void {
    this.events.onBytes(this, chunk.length)
    if (!this.sink.write(chunk, this.onWritten)) this.source.pause()
  }

  private silence(): void {
    this.silenced = true
    // What has just ended may have been a close frame of the source's own.
    if (this.frames?.closed !== true) this.sink.write(goingAwayFrame(this.masked))
    this.source.resume()
  }

  /**
   * A reset right behind the last data is reported as an orderly end. The system tells them apart when something is
   * written, even if that is nothing; where something waits to be written already, that will tell.
   */
  private checkEnd(): void {
    const { source } = this
    if (!source.writable || source.writableLength > 0) this.onEnd()
    else
      source.write('', (error) => {
        if (!error) this.onEnd()
      })
  }

  private onEnd(): void {
    this.ended = true
    this.events.onSourceEnd(this)
  }
}
