import type { IncomingMessage } from 'node:http'

const MAX = 2 ** 31 - 1

/** Whether the client has asked the gateway itself, by leaving the request no further hop (RFC 9110, section 7.6.2). */
export function isLastHop({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['max-forwards'] === '0'
}

/** What is left of Max-Forwards for the next hop. Anything that is not a number is not ours to judge. */
export function fewerForwards(value: string): string {
  return /^\d+$/.test(value) ? String(Math.min(Math.max(Number(value) - 1, 0), MAX)) : value
}
