import { randomUUID } from 'node:crypto'
import type { Exchange } from './exchange.ts'
import type { LayerPair } from './types.ts'

export interface RequestIdOptions {
  /** Header that carries the id, from the client, to the target and back. @default 'x-request-id' */
  header?: string
  /** Makes an id for a request that brings none. @default crypto.randomUUID, 122 random bits */
  generate?: (exchange: Exchange) => string
}

const maxLength = 128
const allowed = new Uint8Array(128)
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=:-') {
  allowed[char.charCodeAt(0)] = 1
}

/**
 * Gives every exchange an id that client, target and log agree on. An id that the client sends is kept if it has
 * 1 to 128 characters of `A-Z a-z 0-9 . _ ~ + / = : -`; anything else is replaced.
 */
export function requestId(options: RequestIdOptions = {}): LayerPair {
  const { generate = () => randomUUID() } = options
  const header = (options.header ?? 'x-request-id').toLowerCase()

  return {
    name: 'request-id',
    onRequest(exchange) {
      const given = exchange.request.raw.headers[header]
      const id = isSane(given) ? given : generate(exchange)
      exchange.requestId = id
      exchange.reply.header(header, id)
      if (id === given) return
      exchange.requestHeaders ??= []
      exchange.requestHeaders.push([header, id])
    }
  }
}

function isSane(id: string | string[] | undefined): id is string {
  if (typeof id !== 'string' || id.length === 0 || id.length > maxLength) return false
  for (let i = 0; i < id.length; i++) {
    if (allowed[id.charCodeAt(i)] !== 1) return false
  }
  return true
}
