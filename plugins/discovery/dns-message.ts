import { LookupError } from '../errors.ts'

/** A record of type SRV (RFC 2782). */
export interface ServiceRecord {
  readonly name: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

export interface ServiceReply {
  /** 0 = no error, 3 = the name does not exist (RFC 1035, section 4.1.1). */
  readonly status: number
  /** There is more than fits into a datagram. */
  readonly isTruncated: boolean
  readonly records: readonly ServiceRecord[]
  /** Seconds that all of them hold, aliases on the way included. */
  readonly ttl: number
}

const HEADER = 12
const TYPE_CNAME = 5
const TYPE_SRV = 33
const CLASS_IN = 1
const RECURSION_DESIRED = 0x0100
const IS_RESPONSE = 0x8000
const IS_TRUNCATED = 0x0200
/** A name has no more labels than this, with pointers or without. */
const MOST_STEPS = 128

/**
 * The question for the SRV records of a name. Node.js can ask for them as well, but does not tell how long they hold.
 * @see https://www.rfc-editor.org/rfc/rfc1035 section 4
 */
export function encodeServiceQuery(id: number, name: string): Buffer {
  const labels = name.replace(/\.$/, '').split('.')
  const parts = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')])
  const header = Buffer.alloc(HEADER)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(RECURSION_DESIRED, 2)
  header.writeUInt16BE(1, 4)
  return Buffer.concat([header, ...parts, Buffer.from([0, 0, TYPE_SRV, 0, CLASS_IN])])
}

/** The reply to a query; undefined when it is one to another query. Throws LookupError when it is malformed. */
export function decodeServiceReply(message: Buffer, query: Buffer): ServiceReply | undefined {
  if (message.length < HEADER || message.readUInt16BE(0) !== query.readUInt16BE(0)) return undefined
  const flags = message.readUInt16BE(2)
  if ((flags & IS_RESPONSE) === 0 || message.readUInt16BE(4) !== 1) return undefined
  // Names are compared without regard to case (RFC 1035, section 2.3.3).
  const question = message.subarray(HEADER, query.length).toString('latin1').toLowerCase()
  if (question !== query.subarray(HEADER).toString('latin1').toLowerCase()) return undefined

  const reader = new Reader(message, query.length)
  const records: ServiceRecord[] = []
  let ttl = Number.POSITIVE_INFINITY
  // What is cut off may be cut anywhere: it is asked for again, whole.
  const isTruncated = (flags & IS_TRUNCATED) !== 0
  for (let left = isTruncated ? 0 : message.readUInt16BE(6); left > 0; left--) {
    const record = reader.readRecord()
    if (record.type !== TYPE_SRV && record.type !== TYPE_CNAME) continue
    ttl = Math.min(ttl, record.ttl)
    if (record.service !== undefined) records.push(record.service)
  }
  return { status: flags & 0xf, isTruncated, records, ttl }
}

class Reader {
  readonly #message: Buffer
  #at: number

  constructor(message: Buffer, at: number) {
    this.#message = message
    this.#at = at
  }

  readRecord(): { type: number; ttl: number; service: ServiceRecord | undefined } {
    this.#readName()
    const type = this.#readWord()
    this.#readWord()
    const ttl = this.#readWord() * 2 ** 16 + this.#readWord()
    const length = this.#readWord()
    const end = this.#at + length
    const service = type === TYPE_SRV ? this.#readService() : undefined
    this.#at = end
    // The highest bit set means 0 (RFC 2181, section 8).
    return { type, ttl: ttl > 2 ** 31 - 1 ? 0 : ttl, service }
  }

  #readService(): ServiceRecord {
    const [priority, weight, port] = [this.#readWord(), this.#readWord(), this.#readWord()]
    return { priority, weight, port, name: this.#readName() }
  }

  #readName(): string {
    const labels: string[] = []
    let at = this.#at
    let isElsewhere = false
    for (let step = 0; step < MOST_STEPS; step++) {
      const length = this.#byteAt(at)
      if (length >= 0xc0) {
        if (!isElsewhere) this.#at = at + 2
        isElsewhere = true
        at = (length & 0x3f) * 256 + this.#byteAt(at + 1)
        continue
      }
      if (length === 0) {
        if (!isElsewhere) this.#at = at + 1
        return labels.join('.')
      }
      labels.push(this.#message.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    throw malformed()
  }

  #readWord(): number {
    const word = this.#byteAt(this.#at) * 256 + this.#byteAt(this.#at + 1)
    this.#at += 2
    return word
  }

  #byteAt(index: number): number {
    const byte = this.#message[index]
    if (byte === undefined) throw malformed()
    return byte
  }
}

function malformed(): Error {
  return new LookupError('the reply is malformed')
}
