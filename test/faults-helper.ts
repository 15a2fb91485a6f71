import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { eventually, type RawClient } from './forwarding-helper.ts'

/** What a client was sent for one request, read by the rules of RFC 9112, section 6.3. */
export interface RawReply {
  readonly status: number
  readonly head: string
  readonly body: string
  /** Whether the end of the body was reached, in order. */
  readonly complete: boolean
  /** What follows the response. */
  readonly rest: string
}

/** Resolves with the next response, once it is complete or the connection is over; takes it off the client's text. */
export async function nextReply(client: RawClient): Promise<RawReply> {
  let reply = readReply(client)
  await eventually(
    () => {
      reply = readReply(client)
      return reply?.complete === true || client.closed !== 'no'
    },
    `no answer but: ${client.text.slice(0, 200)}`
  )
  reply = readReply(client)
  if (reply === undefined)
    throw new Error(`the connection ended (${client.closed}) after: ${client.text.slice(0, 200)}`)
  client.text = reply.rest
  return reply
}

/** The first final response in what a client has received; undefined while its head is incomplete. */
function readReply({ text, closed }: RawClient): RawReply | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  const after = text.slice(end + 4)
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
  if (status < 200) return readReply({ text: after, closed } as RawClient)
  const length = /\r\ncontent-length: (\d+)(?:\r\n|$)/i.exec(head)?.[1]
  if (length !== undefined) {
    const body = after.slice(0, Number(length))
    return { status, head, body, complete: body.length === Number(length), rest: after.slice(body.length) }
  }
  if (/\r\ntransfer-encoding: chunked(?:\r\n|$)/i.test(head)) return { status, head, ...readChunks(after) }
  return { status, head, body: after, complete: closed === 'end', rest: '' }
}

function readChunks(text: string): { body: string; complete: boolean; rest: string } {
  let body = ''
  let at = 0
  for (;;) {
    const line = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, line), 16)
    const end = line + 2 + size + 2
    if (line < 0 || text.length < end) return { body, complete: false, rest: '' }
    assert.equal(text.slice(end - 2, end), '\r\n')
    if (size === 0) return { body, complete: true, rest: text.slice(end) }
    body += text.slice(line + 2, end - 2)
    at = end
  }
}

/** Warnings that the process gives while a test runs, such as that of too many listeners; none is expected. */
export function forbidWarnings(t: TestContext): void {
  const warnings: string[] = []
  const note = (warning: Error) => warnings.push(`${warning.name}: ${warning.message}`)
  process.on('warning', note)
  t.after(() => {
    process.off('warning', note)
    assert.deepEqual(warnings, [])
  })
}

/** Names a connection of this machine to itself; the same port may lead to several others. */
export function connectionKey(from: number, to: number | string): string {
  return `${from} ${to}`
}

/** The sockets that this process opens while a test runs, by the ports of both ends. */
export function watchSockets(t: TestContext): Map<string, Socket> {
  const sockets = new Map<string, Socket>()
  const note = (message: unknown) => {
    const socket = typeof message === 'object' && message !== null && 'socket' in message ? message.socket : undefined
    if (!(socket instanceof Socket)) return
    socket.once('connect', () => sockets.set(connectionKey(socket.localPort ?? 0, socket.remotePort ?? 0), socket))
  }
  subscribe('net.client.socket', note)
  t.after(() => unsubscribe('net.client.socket', note))
  return sockets
}
