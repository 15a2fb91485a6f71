import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyError } from 'fastify'
import { linger } from './linger.ts'

/** What a client whose method is refused may try instead; a 405 has to say (RFC 9110, section 15.5.6). */
export const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** Answers with an error where there is no reply to do it, and closes. */
export function refuse(socket: Socket, error: FastifyError): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  socket.write(render(error))
  linger(socket)
}

/** Answers with an error a request that has a response, but no reply of Fastify's. */
export function refuseRequest(response: ServerResponse | Http2ServerResponse, error: FastifyError): void {
  const body = renderBody(error)
  response.statusCode = error.statusCode ?? 500
  for (const [name, value] of Object.entries(headersOf(error, body))) response.setHeader(name, value)
  response.end(body)
}

/** A whole answer as it goes to the socket. */
export function render(error: FastifyError): string {
  const { statusCode = 500 } = error
  const body = renderBody(error)
  const headers = { ...headersOf(error, body), date: new Date().toUTCString(), connection: 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}\r\n${lines.join('')}\r\n${body}`
}

function headersOf({ statusCode }: FastifyError, body: string): Record<string, string | number> {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) }
  return statusCode === 405 ? { allow: ALLOWED_METHODS, ...headers } : headers
}

/** The body that Fastify gives errors. */
function renderBody({ statusCode = 500, code, message }: FastifyError): string {
  return JSON.stringify({ statusCode, code, error: STATUS_CODES[statusCode], message })
}
