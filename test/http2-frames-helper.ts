import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { eventually } from './forwarding-helper.ts'

/** What a client sends first on every connection (RFC 9113, section 3.4). */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** Frame types (RFC 9113, section 6). */
export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PUSH_PROMISE = 5
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

/** Flags; ACK shares its bit with END_STREAM. */
export const ACK = 0x1
export const END_STREAM = 0x1
export const END_HEADERS = 0x4

/** Error codes (RFC 9113, section 7). */
export const NO_ERROR = 0
export const PROTOCOL_ERROR = 1
export const INTERNAL_ERROR = 2
export const FLOW_CONTROL_ERROR = 3
export const STREAM_CLOSED = 5
export const FRAME_SIZE_ERROR = 6
export const REFUSED_STREAM = 7
export const CANCEL = 8
export const COMPRESSION_ERROR = 9
export const ENHANCE_YOUR_CALM = 11

/** Settings (RFC 9113, section 6.5.2). */
export const MAX_CONCURRENT_STREAMS = 3
export const INITIAL_WINDOW_SIZE = 4

export interface Frame {
  type: number
  flags: number
  /** Stream the frame belongs to; 0 = the connection. */
  id: number
  payload: Buffer
}

export type Field = readonly [name: string, value: string]

/** Any frame, valid or not; strings are one byte a character. */
export function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, body])
}

export function headers(id: number, fields: readonly Field[], flags = END_HEADERS | END_STREAM): Buffer {
  return frame(HEADERS, flags, id, fieldBlock(fields))
}

export function data(id: number, payload: Buffer | string, flags = 0): Buffer {
  return frame(DATA, flags, id, payload)
}

export function settings(values: Readonly<Record<number, number>> = {}): Buffer {
  const entries = Object.entries(values).map(([key, value]) => {
    const entry = Buffer.alloc(6)
    entry.writeUInt16BE(Number(key), 0)
    entry.writeUInt32BE(value, 2)
    return entry
  })
  return frame(SETTINGS, 0, 0, Buffer.concat(entries))
}

export function rstStream(id: number, code: number): Buffer {
  return frame(RST_STREAM, 0, id, uint32(code))
}

export function windowUpdate(id: number, increment: number): Buffer {
  return frame(WINDOW_UPDATE, 0, id, uint32(increment))
}

export function goaway(lastId: number, code: number): Buffer {
  return frame(GOAWAY, 0, 0, Buffer.concat([uint32(lastId), uint32(code)]))
}

/** Fields as literals without indexing and without Huffman coding (RFC 7541, section 6.2.2), unchecked. */
export function fieldBlock(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]))
}

/** The pseudo-header fields of a request, in their usual order. */
export function pseudo(method: string, path: string, authority: string, scheme = 'http'): Field[] {
  return [
    [':method', method],
    [':scheme', scheme],
    [':authority', authority],
    [':path', path]
  ]
}

/** The code in a RST_STREAM or GOAWAY frame. */
export function errorCode({ type, payload }: Frame): number {
  return payload.readUInt32BE(type === GOAWAY ? 4 : 0)
}

const DIGITS: Readonly<Record<string, string>> = Object.fromEntries([
  ...['00000', '00001', '00010'].map((code, digit) => [code, String(digit)]),
  ...['011001', '011010', '011011', '011100', '011101', '011110', '011111'].map((code, i) => [code, String(i + 3)])
])

/** The status of a response, which is the first field of its block; 0 if it is not. */
export function statusOf({ payload }: Frame): number {
  const first = payload[0] ?? 0
  // Size updates of the dynamic table (RFC 7541, section 6.3) may come before.
  if ((first & 0xe0) === 0x20) return statusOf({ type: HEADERS, flags: 0, id: 0, payload: payload.subarray(1) })
  const indexed = [200, 204, 206, 304, 400, 404, 500][first - 0x88]
  if (indexed !== undefined) return indexed
  if (first !== 0x48 && first !== 0x08 && first !== 0x18) return 0
  const length = payload[1] ?? 0
  const value = payload.subarray(2, 2 + (length & 0x7f))
  return Number(length < 0x80 ? value.toString('latin1') : huffmanDigits(value))
}

/** One end of an HTTP/2 connection that writes and reads frames, valid or not. Acknowledges settings, nothing else. */
export class FramePeer {
  readonly socket: Socket
  /** Everything received. */
  readonly frames: Frame[] = []
  /** How the connection ended: by an orderly close, or by a reset. */
  closed: 'no' | 'end' | 'reset' = 'no'
  /** Called for each frame received, for ends that play a part. */
  onFrame: ((frame: Frame) => void) | undefined = undefined
  private buffer: Buffer = Buffer.alloc(0)

  /** @param skip bytes before the first frame: those of the preface, when the other end is a client */
  constructor(socket: Socket, skip = 0) {
    this.socket = socket
    socket.setNoDelay()
    let left = skip
    socket.on('data', (chunk: Buffer) => {
      const taken = Math.min(left, chunk.length)
      left -= taken
      this.receive(chunk.subarray(taken))
    })
    socket.on('end', () => {
      if (this.closed === 'no') this.closed = 'end'
      socket.end()
    })
    socket.on('error', () => {
      this.closed = 'reset'
    })
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames))
  }

  /** Resolves with the first frame of a type, on a stream if one is given, and maybe of a further condition. */
  async frame(type: number, id?: number, matches: (frame: Frame) => boolean = () => true): Promise<Frame> {
    const find = () =>
      this.frames.find((one) => one.type === type && (id === undefined || one.id === id) && matches(one))
    await this.wait(() => find() !== undefined, `no frame of type ${type} on stream ${id}`)
    return find() ?? { type, flags: 0, id: 0, payload: Buffer.alloc(0) }
  }

  /** Resolves with the status of the answer on a stream, once its head is there. */
  async status(id: number): Promise<number> {
    return statusOf(await this.frame(HEADERS, id))
  }

  /** Resolves with the body received on a stream, once the stream is ended in order. */
  async body(id: number): Promise<string> {
    const ended = () => this.frames.some((one) => one.id === id && one.type < 2 && (one.flags & END_STREAM) !== 0)
    await this.wait(ended, `stream ${id} is not ended`)
    const chunks = this.frames.filter((one) => one.id === id && one.type === DATA).map(({ payload }) => payload)
    return Buffer.concat(chunks).toString('latin1')
  }

  /** Resolves with the code with which a stream was reset. */
  async reset(id: number): Promise<number> {
    return errorCode(await this.frame(RST_STREAM, id))
  }

  /** Resolves with the code of the first GOAWAY. */
  async goaway(): Promise<number> {
    return errorCode(await this.frame(GOAWAY))
  }

  /** Resolves once the connection is over. */
  async end(): Promise<void> {
    await this.wait(() => this.closed !== 'no', 'the connection stays open')
  }

  private receive(chunk: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, chunk])
    while (this.buffer.length >= 9) {
      const end = 9 + this.buffer.readUIntBE(0, 3)
      if (this.buffer.length < end) return
      const one = {
        type: this.buffer.readUInt8(3),
        flags: this.buffer.readUInt8(4),
        id: this.buffer.readUInt32BE(5) & 0x7fffffff,
        payload: this.buffer.subarray(9, end)
      }
      this.buffer = this.buffer.subarray(end)
      this.frames.push(one)
      if (one.type === SETTINGS && (one.flags & ACK) === 0) this.send(frame(SETTINGS, ACK, 0))
      this.onFrame?.(one)
    }
  }

  private async wait(condition: () => boolean, otherwise: string): Promise<void> {
    try {
      await eventually(condition, otherwise)
    } catch {
      const received = this.frames.map(({ type, id }) => `${type}/${id}`).join(' ')
      throw new Error(`${otherwise}; received ${received || 'nothing'}`)
    }
  }
}

/** A client that has sent the preface and its settings. */
export function connectFrames(t: TestContext, port: number, values: Readonly<Record<number, number>> = {}): FramePeer {
  const peer = new FramePeer(connect({ host: '127.0.0.1', port, allowHalfOpen: true }))
  t.after(() => peer.socket.destroy())
  peer.send(Buffer.from(PREFACE), settings(values))
  return peer
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([integer(bytes.length), bytes])
}

/** An integer with a prefix of seven bits (RFC 7541, section 5.1). */
function integer(value: number): Buffer {
  if (value < 0x7f) return Buffer.of(value)
  const bytes = [0x7f]
  let rest = value - 0x7f
  for (; rest >= 0x80; rest >>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function huffmanDigits(bytes: Buffer): string {
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  let text = ''
  while (text.length < 3) {
    const code = [5, 6].map((length) => bits.slice(0, length)).find((prefix) => DIGITS[prefix] !== undefined)
    if (code === undefined) return 'NaN'
    text += DIGITS[code]
    bits = bits.slice(code.length)
  }
  return text
}
