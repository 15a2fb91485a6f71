import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { OwnReading, Reading } from './own-reader.ts'
import type { FuzzCase } from './responses.ts'

/** More than the gateway takes, so that the size of a head alone makes no difference. */
const MAX_HEADER_SIZE = 128 * 1024
/** More than any message has, since nobody reads before all of it is there. */
const MAX_BUFFERED = 1024 * 1024

/** A connection to nowhere; what arrives on it is pushed. */
class FuzzSocket extends Duplex {
  kept = false
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done()
  }
}

class FuzzAgent extends Agent {
  override createConnection(): Duplex {
    return new FuzzSocket({ highWaterMark: MAX_BUFFERED })
  }

  /** Called when the client could use the connection once more. */
  override keepSocketAlive(socket: FuzzSocket): boolean {
    socket.kept = true
    return false
  }
}

const agent = new FuzzAgent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

/**
 * What the HTTP client of Node.js, strict as it is by default, makes of responses that the gateway's parser has read;
 * why it refuses them, or that it sees their end somewhere else. All are read side by side, since the client needs turns
 * of the event loop for each.
 */
export async function readWithNode(
  responses: readonly { readonly sent: FuzzCase; readonly own: OwnReading }[]
): Promise<(Reading | string)[]> {
  const exchanges = responses.map(({ sent }) => new Exchange(sent.method))
  await nextTurn()
  for (const [index, { sent, own }] of responses.entries()) exchanges[index]?.receive(sent.bytes, own)
  await nextTurn()
  for (const exchange of exchanges) exchange.readBody()
  await nextTurn()
  return exchanges.map((exchange) => exchange.finish())
}

class Exchange {
  private readonly request: ClientRequest
  private readonly informations: string[][] = []
  private response: IncomingMessage | undefined
  private socket: FuzzSocket | undefined
  private fault: string | undefined
  private body = ''

  constructor(method: string) {
    const note = (error: Error) => {
      this.fault ??= error.message
    }
    this.request = request({ method, agent, maxHeaderSize: MAX_HEADER_SIZE, insecureHTTPParser: false })
    this.request.on('error', note)
    this.request.on('socket', (socket: Duplex) => {
      if (socket instanceof FuzzSocket) this.socket = socket
    })
    this.request.on('information', ({ statusCode, rawHeaders }) => {
      this.informations.push([String(statusCode), ...rawHeaders])
    })
    this.request.on('response', (response) => {
      this.response = response
      response.on('error', note)
    })
    this.request.end()
  }

  /** The message arrives: it must be complete with its last byte, and not before. */
  receive(bytes: Buffer, { length, untilClose }: OwnReading): void {
    this.socket?.push(bytes.subarray(0, length - 1))
    if (this.response?.complete === true) this.fault ??= 'ends earlier'
    this.socket?.push(bytes.subarray(length - 1, length))
    if ((this.response?.complete === true) === untilClose)
      this.fault ??= untilClose ? 'ends before the close' : 'no end'
    if (untilClose) this.socket?.push(null)
  }

  readBody(): void {
    const body: unknown = this.response?.read()
    if (Buffer.isBuffer(body)) this.body = body.toString('latin1')
  }

  finish(): Reading | string {
    const { response, fault, informations, body } = this
    this.request.destroy()
    if (fault !== undefined || response === undefined) return fault ?? 'no response'
    if (!response.complete) return 'incomplete'
    return {
      informations,
      status: response.statusCode ?? 0,
      reason: response.statusMessage ?? '',
      headers: response.rawHeaders,
      body,
      trailers: response.rawTrailers,
      reusable: this.socket?.kept === true
    }
  }
}
