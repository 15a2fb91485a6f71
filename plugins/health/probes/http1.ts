import { request } from 'node:http'
import type { Socket } from 'node:net'
import { Content } from './content.ts'
import { describe } from './dial.ts'
import type { Answer, Done } from './types.ts'

export interface HttpRequest {
  readonly method: string
  readonly scheme: 'http' | 'https'
  readonly authority: string
  /** Path and query. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** HTTP/2 only. */
  readonly content?: Buffer | undefined
}

/** How a request is sent on a new connection, which is closed after it. Calls `done` once; what it returns cancels it. */
export type Send = (
  socket: Socket,
  request: HttpRequest,
  limit: number,
  judge: (answer: Answer) => string | undefined,
  done: Done
) => () => void

/** Sends a request by HTTP/1.1. */
export const sendHttp1: Send = (socket, { method, authority, path, headers }, limit, judge, done) => {
  const message = request({
    createConnection: () => socket,
    method,
    path,
    headers: { host: authority, ...headers, connection: 'close' }
  })
  let isDone = false
  const end = (failure: string | undefined) => {
    if (isDone) return
    isDone = true
    message.destroy()
    socket.destroy()
    done(failure)
  }
  let isAnswered = false
  message.on('error', (error) => end(describe(error)))
  // Without an error where the target switches protocols unasked.
  message.on('close', () => {
    if (!isAnswered) end('the connection was closed')
  })
  message.on('response', (response) => {
    isAnswered = true
    const content = new Content(limit)
    const field = (name: string) => {
      const value = response.headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    }
    const finish = () => end(judge({ status: response.statusCode ?? 0, field, content: content.bytes }))
    response.on('data', (chunk: Buffer) => {
      if (!content.add(chunk)) finish()
    })
    response.on('end', finish)
    response.on('error', () => end('the response was cut off'))
  })
  message.end()
  return () => end('cancelled')
}
