import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import { LookupError, NoRecordsError } from '../errors.ts'
import { decodeServiceReply, encodeServiceQuery, type ServiceReply } from './dns-message.ts'

const NO_SUCH_NAME = 3

export interface QueryOptions {
  /** As `dns.getServers()` gives them. */
  readonly servers: readonly string[]
  /** Milliseconds for each server. */
  readonly timeout: number
}

/**
 * The SRV records of a name, from the first server that answers: by UDP, and by TCP where the answer is too long.
 * @throws NoRecordsError when there are none, LookupError when nobody says so
 */
export async function queryServices(name: string, { servers, timeout }: QueryOptions): Promise<ServiceReply> {
  let reason = 'there is no server to ask'
  for (const server of servers) {
    try {
      const reply = await ask(name, addressOf(server), timeout)
      if (reply.status === 0 && reply.records.length > 0) return reply
      if (reply.status === 0 || reply.status === NO_SUCH_NAME) throw new NoRecordsError(name)
      reason = `the server answers with status ${reply.status}`
    } catch (error) {
      if (error instanceof NoRecordsError) throw error
      reason = error instanceof Error ? error.message : String(error)
    }
  }
  throw new LookupError(`${name}: ${reason}`)
}

interface Address {
  readonly host: string
  readonly port: number
}

async function ask(name: string, server: Address, timeout: number): Promise<ServiceReply> {
  // An id that cannot be foreseen, and a port that the system chooses, keep others from answering instead.
  const query = encodeServiceQuery(randomInt(2 ** 16), name)
  const reply = await askByDatagram(query, server, timeout)
  return reply.isTruncated ? await askByStream(query, server, timeout) : reply
}

function askByDatagram(query: Buffer, { host, port }: Address, timeout: number): Promise<ServiceReply> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    const end = (settle: () => void) => {
      clearTimeout(timer)
      socket.close()
      settle()
    }
    const fail = (error: Error) => end(() => reject(error))
    const timer = setTimeout(() => fail(new LookupError(`no answer within ${timeout} ms`)), timeout)
    socket.once('error', fail)
    socket.on('message', (message) => {
      const reply = attempt(() => decodeServiceReply(message, query))
      if (reply instanceof Error) fail(reply)
      else if (reply !== undefined) end(() => resolve(reply))
    })
    // What comes from elsewhere is not received on a socket that is connected.
    socket.connect(port, host, () => socket.send(query))
  })
}

function askByStream(query: Buffer, { host, port }: Address, timeout: number): Promise<ServiceReply> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let received = Buffer.alloc(0)
    socket.setTimeout(timeout, () => socket.destroy(new LookupError(`no answer by TCP within ${timeout} ms`)))
    socket.once('error', reject)
    socket.once('close', () => reject(new LookupError('the server closed the connection')))
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    socket.write(Buffer.concat([length, query]))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
      const reply = attempt(() => decodeServiceReply(received.subarray(2), query))
      if (reply instanceof Error) reject(reply)
      else if (reply === undefined) reject(new LookupError('the reply is to another query'))
      else resolve(reply)
      socket.destroy()
    })
  })
}

function attempt<Value>(work: () => Value): Value | Error {
  try {
    return work()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** Of `127.0.0.1`, `::1`, `127.0.0.1:5353` or `[::1]:5353`. */
function addressOf(server: string): Address {
  const [, bracketed, rest] = /^\[(.+)\](?::(\d+))?$/.exec(server) ?? []
  if (bracketed !== undefined) return { host: bracketed, port: Number(rest ?? 53) }
  const colon = server.indexOf(':')
  if (colon < 0 || isIPv6(server)) return { host: server, port: 53 }
  return { host: server.slice(0, colon), port: Number(server.slice(colon + 1)) }
}
