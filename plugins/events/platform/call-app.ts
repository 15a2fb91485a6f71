import { type ClientRequest, type IncomingMessage, request as sendHttp } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { AppServer } from '../app-server.ts'
import type { PlatformRequest } from './types.ts'

/** What stands for an address that the platform does not tell: anything but a loopback one, which may be trusted. */
const UNKNOWN_ADDRESS = '0.0.0.0'
const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')
LOOPBACK.addSubnet('::ffff:127.0.0.0', 104, 'ipv6')

/** Sends the request to the application. Resolves with the head of its response; rejects when there is none. */
export function callApp(server: AppServer, call: PlatformRequest): Promise<IncomingMessage> {
  const { method, url, headers, body, sourceIp } = call
  return new Promise((resolve, reject) => {
    const remoteAddress = addressOf(sourceIp)
    const encrypted = firstOf(headers, 'x-forwarded-proto') !== 'http'
    let request: ClientRequest
    try {
      request = sendHttp({
        createConnection: () => server.connect({ remoteAddress, encrypted }),
        method,
        path: url,
        headers: withLength(headers, method, body),
        setHost: false
      })
    } catch (error) {
      // What no header or request line can hold.
      reject(error)
      return
    }
    request.on('response', resolve)
    request.on('error', reject)
    request.end(body)
  })
}

function addressOf(sourceIp = ''): string {
  const family = isIP(sourceIp)
  const isLoopback = family !== 0 && LOOPBACK.check(sourceIp, family === 6 ? 'ipv6' : 'ipv4')
  return family === 0 || isLoopback ? UNKNOWN_ADDRESS : sourceIp
}

/** The whole body; rejects when it ends early. */
export async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function withLength(headers: readonly string[], method: string, body: Buffer): string[] {
  const pairs = [...headers]
  if (firstOf(headers, 'host') === undefined) pairs.push('host', 'localhost')
  if (body.length > 0 || method === 'POST' || method === 'PUT' || method === 'PATCH') {
    pairs.push('content-length', String(body.length))
  }
  return pairs
}

function firstOf(pairs: readonly string[], name: string): string | undefined {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1]
  return undefined
}
