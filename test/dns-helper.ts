import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { type Answer, decode, encode, type Packet } from 'dns-packet'

/** What the server does with a question: records, a status without any, or not a word. */
export type Reply = readonly Answer[] | 'NXDOMAIN' | 'SERVFAIL' | 'silence' | 'truncated' | Buffer

export interface DnsServer {
  /** As `dns.setServers` takes it. */
  readonly address: string
  /** Replies by `TYPE name`; what is not there does not exist. */
  readonly zone: Map<string, Reply>
  /** The questions so far, as keys of the zone; those by TCP begin with `tcp `. */
  readonly asked: string[]
  /** Forgets the questions, and resolves with the next one. */
  next(): Promise<string>
}

const STATUS = { NXDOMAIN: 3, SERVFAIL: 2 } as const
const AUTHORITATIVE = 0x0400
const TRUNCATED = 0x0200

/** A DNS server on loopback, by UDP and TCP, whose messages are made and read by the package `dns-packet`. */
export async function startDns(t: TestContext, zone: Record<string, Reply> = {}): Promise<DnsServer> {
  const server = new ScriptedDns(new Map(Object.entries(zone)))
  const port = await server.listen()
  t.after(() => server.close())
  return { address: `127.0.0.1:${port}`, zone: server.zone, asked: server.asked, next: () => server.next() }
}

class ScriptedDns {
  readonly zone: Map<string, Reply>
  readonly asked: string[] = []
  readonly #udp = createSocket('udp4')
  readonly #tcp = createServer()
  #onNext: (question: string) => void = () => {}

  constructor(zone: Map<string, Reply>) {
    this.zone = zone
  }

  async listen(): Promise<number> {
    this.#tcp.listen(0, '127.0.0.1')
    await once(this.#tcp, 'listening')
    const address = this.#tcp.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    this.#udp.bind(port, '127.0.0.1')
    await once(this.#udp, 'listening')
    this.#udp.on('message', (message, { port: from }) => this.#answerDatagram(message, from, this.#udp))
    this.#tcp.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        const message = this.#reply(chunk.subarray(2), 'tcp ')
        if (message === undefined) return
        const length = Buffer.alloc(2)
        length.writeUInt16BE(message.length)
        // In pieces, as it may well come.
        socket.write(Buffer.concat([length, message.subarray(0, 5)]))
        setImmediate(() => socket.end(message.subarray(5)))
      })
    })
    return port
  }

  next(): Promise<string> {
    this.asked.length = 0
    return new Promise((resolve) => {
      this.#onNext = resolve
    })
  }

  close(): void {
    this.#udp.close()
    this.#tcp.close()
  }

  #answerDatagram(message: Buffer, port: number, socket: Socket): void {
    const reply = this.#reply(message, '')
    if (reply !== undefined) socket.send(reply, port, '127.0.0.1')
  }

  #reply(message: Buffer, transport: string): Buffer | undefined {
    const query = decode(message)
    const [question] = query.questions ?? []
    const key = `${question?.type} ${question?.name.toLowerCase()}`
    this.asked.push(transport + key)
    this.#onNext(transport + key)
    const reply = this.zone.get(key) ?? 'NXDOMAIN'
    if (reply === 'silence') return undefined
    if (Buffer.isBuffer(reply)) return Buffer.concat([message.subarray(0, 2), reply])
    if (reply === 'truncated') {
      return transport === ''
        ? encode({ ...header(query), flags: AUTHORITATIVE | TRUNCATED })
        : encode({ ...header(query), answers: [...records(this.zone.get(`full ${question?.name}`))] })
    }
    if (typeof reply !== 'string') return encode({ ...header(query), answers: [...reply] })
    const failed = encode(header(query))
    failed.writeUInt16BE((failed.readUInt16BE(2) & 0xfff0) | STATUS[reply], 2)
    return failed
  }
}

function header({ id, questions }: Packet): Packet {
  return { type: 'response', flags: AUTHORITATIVE, questions: questions ?? [], ...(id === undefined ? {} : { id }) }
}

function records(reply: Reply | undefined): readonly Answer[] {
  return Array.isArray(reply) ? reply : []
}

export function a(name: string, data: string, ttl = 60): Answer {
  return { type: 'A', name, data, ttl }
}

export function aaaa(name: string, data: string, ttl = 60): Answer {
  return { type: 'AAAA', name, data, ttl }
}

export function srv(name: string, target: string, port: number, { priority = 0, weight = 1, ttl = 60 } = {}): Answer {
  return { type: 'SRV', name, ttl, data: { target, port, priority, weight } }
}
