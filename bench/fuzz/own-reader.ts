import { BadResponseError } from '../../plugins/errors.ts'
import { ResponseParser } from '../../plugins/proxy/transport/response-parser.ts'
import type { FuzzCase } from './responses.ts'

/** A response as a parser has read it. */
export interface Reading {
  /** Status and header pairs of each 1xx response before it. */
  readonly informations: readonly string[][]
  readonly status: number
  readonly reason: string
  readonly headers: readonly string[]
  /** As latin1. */
  readonly body: string
  readonly trailers: readonly string[]
  /** Whether the connection may carry another response. */
  readonly reusable: boolean
}

export interface OwnReading extends Reading {
  /** Bytes of the message; what follows belongs to no request. */
  readonly length: number
  /** It ends with the connection. */
  readonly untilClose: boolean
}

/** Reads responses with the gateway's parser, as a connection does: one parser for as long as it can be used again. */
export class OwnReader {
  private connection = new Connection()

  /** What the parser makes of the response, after which the target closes; why it refuses it, or misses its end. */
  read({ method, bytes, splits }: FuzzCase): OwnReading | string {
    const reading = this.connection.read(method, bytes, splits)
    if (typeof reading === 'string' || !reading.reusable || reading.length < bytes.length) {
      this.connection = new Connection()
    }
    return reading
  }
}

class Connection {
  private informations: string[][] = []
  private status = 0
  private reason = ''
  private headers: readonly string[] = []
  private body = ''
  private trailers: readonly string[] = []
  private ended = false
  private readonly parser = new ResponseParser({
    onInformation: (status, headers) => void this.informations.push([String(status), ...headers]),
    onHead: ({ status, reason, headers }) => {
      this.status = status
      this.reason = reason
      this.headers = headers
    },
    onUpgrade: () => {
      throw new Error('a switch of protocols that nobody has asked for')
    },
    onBody: (chunk) => {
      this.body += chunk.toString('latin1')
    },
    onMessageEnd: (trailers) => {
      this.trailers = trailers
      this.ended = true
    }
  })

  read(method: string, bytes: Buffer, splits: readonly number[]): OwnReading | string {
    const whole = this.parse(method, bytes, splits)
    if (whole !== '') return whole
    const untilClose = this.parser.untilClose
    if (untilClose) this.parser.finish()
    if (!this.ended) return 'incomplete'
    const { informations, status, reason, headers, body, trailers } = this
    const length = this.excess ? endOf(method, bytes) : bytes.length
    return { informations, status, reason, headers, body, trailers, length, untilClose, reusable: this.parser.reusable }
  }

  /** True once the bytes so far end the message. */
  ends(method: string, bytes: Buffer): boolean {
    return this.parse(method, bytes, []) === '' && this.ended
  }

  private excess = false

  private parse(method: string, bytes: Buffer, splits: readonly number[]): string {
    this.informations = []
    this.body = ''
    this.ended = false
    this.excess = false
    this.parser.begin(method)
    try {
      let at = 0
      for (const end of splits) {
        if (end > at) this.excess = !this.parser.execute(bytes.subarray(at, end)) || this.excess
        at = end
      }
      if (bytes.length > at) this.excess = !this.parser.execute(bytes.subarray(at)) || this.excess
      return ''
    } catch (error) {
      if (error instanceof BadResponseError) return error.message
      throw error
    }
  }
}

/** The least number of bytes that end the message. */
function endOf(method: string, bytes: Buffer): number {
  let [below, end] = [0, bytes.length]
  while (end - below > 1) {
    const middle = (below + end) >> 1
    if (new Connection().ends(method, bytes.subarray(0, middle))) end = middle
    else below = middle
  }
  return end
}
