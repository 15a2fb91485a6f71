/** What a service says of itself: grpc.health.v1.HealthCheckResponse.ServingStatus. */
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
/** Flag of compression, and length, before each message. */
const PREFIX = 5
const STATUS_FIELD = 1

/**
 * A grpc.health.v1.HealthCheckRequest, with what goes before it on the wire.
 * @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export function encodeHealthRequest(service: string): Buffer {
  const name = Buffer.from(service)
  // Field 1, length-delimited; left out when it is empty, as any default is.
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name])
  const prefix = Buffer.alloc(PREFIX)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

/** The status in a grpc.health.v1.HealthCheckResponse as it is on the wire; undefined when that is malformed. */
export function decodeHealthResponse(bytes: Buffer): string | undefined {
  if (bytes.length < PREFIX || bytes[0] !== 0 || bytes.readUInt32BE(1) !== bytes.length - PREFIX) return undefined
  const reader = new Reader(bytes.subarray(PREFIX))
  let status = 0
  while (!reader.isAtEnd) {
    const tag = reader.readVarint()
    const value = reader.readField(tag & 7)
    if (reader.isBroken) return undefined
    if (tag === STATUS_FIELD << 3) status = value
  }
  return STATUSES[status] ?? `status ${status}`
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let left = value
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80)
  return [...bytes, left]
}

/** Reads the wire format of protocol buffers: https://protobuf.dev/programming-guides/encoding/ */
class Reader {
  readonly #bytes: Buffer
  #at = 0
  isBroken = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  readVarint(): number {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) break
      // Not by bits, which are 32 in JavaScript.
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    this.isBroken = true
    return 0
  }

  /** The value of a field if it is a varint; anything else is passed over. */
  readField(wireType: number): number {
    if (wireType === 0) return this.readVarint()
    if (wireType === 1) this.#skip(8)
    else if (wireType === 2) this.#skip(this.readVarint())
    else if (wireType === 5) this.#skip(4)
    else this.isBroken = true
    return 0
  }

  #skip(count: number): void {
    this.#at += count
    if (this.#at > this.#bytes.length) this.isBroken = true
  }
}
