import { randomFillSync } from 'node:crypto'

const CLOSE = 8
const GOING_AWAY = 1001

/**
 * Follows the frames of one direction of a WebSocket by their headers (RFC 6455, section 5.2); payloads are not looked
 * at, and nothing is judged. All it says is where a frame ends, and whether a close frame has passed.
 */
export class WebSocketFrames {
  /** A close frame has passed. */
  closed = false

  /** Bytes of the header under way that were read. */
  private read = 0
  private opcode = 0
  /** Bytes of the extended payload length: 0, 2 or 8. */
  private extension = 0
  /** Bytes of the header, as far as it tells. */
  private size = 2
  private length = 0
  /** Bytes of the payload still to come. */
  private remaining = 0

  /** Whether no frame has begun that has not ended. */
  get between(): boolean {
    return this.read === 0 && this.remaining === 0
  }

  /** Follows `data` from `at` to the end of the frame under way, or of the data. Returns how far it came. */
  advance(data: Buffer, at: number): number {
    let i = at
    while (this.remaining === 0 && i < data.length) {
      this.readHeader(data[i++] ?? 0)
      // A frame without payload ends with its header.
      if (this.read === 0 && this.remaining === 0) return i
    }
    const taken = Math.min(this.remaining, data.length - i)
    this.remaining -= taken
    if (taken > 0 && this.remaining === 0) this.end()
    return i + taken
  }

  private readHeader(byte: number): void {
    const { read } = this
    if (read === 0) {
      this.opcode = byte & 0x0f
    } else if (read === 1) {
      const length = byte & 0x7f
      this.extension = length === 127 ? 8 : length === 126 ? 2 : 0
      this.length = this.extension === 0 ? length : 0
      this.size = 2 + this.extension + ((byte & 0x80) === 0 ? 0 : 4)
    } else if (read < 2 + this.extension) {
      this.length = this.length * 256 + byte
    }
    this.read++
    if (this.read < this.size) return
    this.read = 0
    this.size = 2
    this.remaining = this.length
    if (this.length === 0) this.end()
  }

  private end(): void {
    if (this.opcode === CLOSE) this.closed = true
  }
}

/** A close frame with code 1001, going away. Frames to a target are masked, as those of any client. */
export function goingAwayFrame(masked: boolean): Buffer {
  const frame = Buffer.alloc(masked ? 8 : 4)
  frame[0] = 0x80 | CLOSE
  frame[1] = masked ? 0x82 : 2
  if (masked) randomFillSync(frame, 2, 4)
  const at = frame.length - 2
  frame[at] = (GOING_AWAY >> 8) ^ (masked ? (frame[2] ?? 0) : 0)
  frame[at + 1] = (GOING_AWAY & 0xff) ^ (masked ? (frame[3] ?? 0) : 0)
  return frame
}
