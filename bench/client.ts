import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Exchange, switchedLength } from './exchanges.ts'

/** Milliseconds without a byte after which no answer will come any more. */
const SILENCE = 10_000
const NOTHING: Buffer = Buffer.alloc(0)

export interface ClientOptions {
  readonly port: number
  readonly exchange: Exchange
  readonly tls?: boolean | undefined
  /** Of the client, among those that are distinct. @default 0 */
  readonly number?: number
}

/** A client with one connection, on which one request at a time is under way. */
export class Client {
  onAnswer: () => void = () => {}
  onFailure: (error: Error) => void = () => {}
  readonly #socket: Socket
  readonly #distinct: boolean
  #answerLength: (received: Buffer) => number
  #head = NOTHING
  /** Bytes of the answer still to come; negative while its head is incomplete. */
  #left = -1
  #cookie: string | undefined = undefined

  /** Connects, and shakes hands where the exchange begins with that. */
  static async open({ port, exchange, tls, number = 0 }: ClientOptions): Promise<Client> {
    // All of 127.0.0.0/8 is this machine, so that clients can have addresses of their own.
    const localAddress = exchange.distinct === true ? `127.0.1.${(number % 254) + 1}` : undefined
    const client = new Client(await open(port, tls, localAddress), exchange)
    if (exchange.handshake !== undefined) {
      client.#answerLength = switchedLength
      await client.ask(exchange.handshake)
      client.#answerLength = exchange.answerLength
    }
    return client
  }

  private constructor(socket: Socket, exchange: Exchange) {
    this.#socket = socket
    this.#distinct = exchange.distinct === true
    this.#answerLength = exchange.answerLength
    socket.on('error', (error) => this.onFailure(error))
    socket.on('close', () => this.onFailure(new Error('connection closed under load')))
    socket.on('data', (chunk) => this.#receive(chunk))
  }

  /** Sends a request; `onAnswer` is called once its answer is complete. */
  send(request: Buffer): void {
    this.#socket.write(this.#cookie === undefined ? request : withCookie(request, this.#cookie))
  }

  /** Sends a request, and resolves once its answer is complete. */
  ask(request: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.onAnswer = resolve
      this.onFailure = reject
      this.send(request)
    })
  }

  /** Fails when nothing arrives for long; not for clients that are meant to be idle. */
  watch(): void {
    this.#socket.setTimeout(SILENCE, () => this.onFailure(new Error('no answer')))
  }

  close(): void {
    this.onFailure = () => {}
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    if (this.#left < 0) {
      this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
      const length = this.#answerLength(this.#head)
      if (length === -1) return
      this.#left = length - this.#head.length
    } else {
      this.#left -= chunk.length
    }
    if (Number.isNaN(this.#left) || this.#left < 0) {
      this.onFailure(new Error(`unexpected answer: ${this.#head.toString('latin1', 0, 500)}`))
      return
    }
    if (this.#left > 0) return
    if (this.#distinct) this.#cookie ??= cookieOf(this.#head)
    this.#head = NOTHING
    this.#left = -1
    this.onAnswer()
  }
}

/** A connection to a local port. */
export function open(port: number, tls = false, localAddress?: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const address = { host: '127.0.0.1', port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) }
    const socket = tls ? connectTls({ ...address, rejectUnauthorized: false }) : connect(address)
    socket.setNoDelay(true)
    socket.once('error', reject)
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function cookieOf(answer: Buffer): string | undefined {
  return /\r\nset-cookie: ([^;\r]+)/i.exec(answer.toString('latin1'))?.[1]
}

function withCookie(request: Buffer, cookie: string): Buffer {
  const lineEnd = request.indexOf('\r\n') + 2
  return Buffer.concat([request.subarray(0, lineEnd), Buffer.from(`cookie: ${cookie}\r\n`), request.subarray(lineEnd)])
}
