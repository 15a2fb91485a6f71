import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyError } from 'fastify'
import {
  BadFramingError,
  BadRequestError,
  ChunkExtensionsTooLargeError,
  HeadTooLargeError,
  MethodNotAllowedError,
  MethodNotImplementedError,
  RequestTimeoutError,
  VersionNotSupportedError
} from '../../errors.ts'
import { afterAnswers } from './answers-under-way.ts'
import { refuse, render } from './refusal.ts'

/** An error of Node.js about a connection from a client. */
export interface ClientError extends Error {
  readonly code?: string | undefined
  /** What its parser does not like, in words. */
  readonly reason?: string | undefined
  /** Where in `rawPacket` the parser stopped. */
  readonly bytesParsed?: number | undefined
  readonly rawPacket?: unknown
}

/** The client closes before its request is complete. */
const CLIENT_LEFT = 'HPE_INVALID_EOF_STATE'

/** Connections on which nothing more can be understood. */
const broken = new WeakSet<object>()

/** Whether a connection has sent something that no parser can get over. */
export function isBroken(socket: object): boolean {
  return broken.has(socket)
}

/**
 * Answers what Node.js cannot make sense of; for Fastify's option `clientErrorHandler`. Answers under way on the
 * connection come first: what is broken says nothing about the requests before it. An exchange whose body breaks off
 * hears of it, and answers by itself.
 */
export function answerClientError(error: ClientError, socket: unknown): void {
  // Node.js reports it again with every further byte.
  if (!(socket instanceof Socket) || socket.destroyed || broken.has(socket)) return
  const answer = answerFor(error)
  if (answer === undefined) {
    socket.destroy(error)
    return
  }
  broken.add(socket)
  afterAnswers(socket, (unfinished) => {
    if (unfinished === undefined) refuse(socket, answer)
    else breakOff(unfinished, socket, error.code === CLIENT_LEFT ? undefined : answer)
  })
}

/** The request whose turn it is will never be complete. Without an answer, the client is gone. */
function breakOff(response: ServerResponse, socket: Socket, answer: FastifyError | undefined): void {
  response.once('close', () => socket.destroySoon())
  // It has its answer, which may still be on its way.
  if (response.writableEnded) return
  if (answer !== undefined && response.req.listenerCount('error') > 0) {
    response.req.emit('error', answer)
    return
  }
  if (answer !== undefined && !response.headersSent) socket.write(render(answer))
  socket.destroySoon()
}

function answerFor(error: ClientError): FastifyError | undefined {
  const { code = '', reason = '' } = error
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new RequestTimeoutError()
    case 'HPE_HEADER_OVERFLOW':
      return new HeadTooLargeError()
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ChunkExtensionsTooLargeError()
    case 'HPE_PAUSED_H2_UPGRADE':
      return new VersionNotSupportedError()
    case 'HPE_INVALID_METHOD':
    case 'HPE_INVALID_VERSION':
      return answerForLine(requestLine(error)) ?? new BadRequestError(reason)
    case 'HPE_INVALID_CHUNK_SIZE':
    case 'HPE_INVALID_CONTENT_LENGTH':
    case 'HPE_INVALID_TRANSFER_ENCODING':
    case 'HPE_UNEXPECTED_CONTENT_LENGTH':
      return new BadFramingError(reason)
    default:
      return code.startsWith('HPE_') ? new BadRequestError(reason) : undefined
  }
}

const REQUEST_LINE = /^([!#$%&'*+.^_`|~\w-]{1,64}) [!-~]+ HTTP\/(\d\.\d)\r$/
const MAX_REQUEST_LINE = 8_192

/** Tells what is well-formed, but not known to Node.js, from what is no request line at all. */
function answerForLine(line: string): FastifyError | undefined {
  const [, method, version] = REQUEST_LINE.exec(line) ?? []
  if (method === undefined) return undefined
  if (version !== '1.0' && version !== '1.1') return new VersionNotSupportedError()
  return method === 'TRACK' ? new MethodNotAllowedError(method) : new MethodNotImplementedError(method)
}

/** The line in which the parser stopped, as far as it is there. */
function requestLine({ rawPacket, bytesParsed = 0 }: ClientError): string {
  if (!Buffer.isBuffer(rawPacket)) return ''
  const text = rawPacket.toString('latin1', 0, bytesParsed + MAX_REQUEST_LINE)
  const start = text.lastIndexOf('\n', bytesParsed - 1) + 1
  const end = text.indexOf('\n', start)
  return end < 0 ? '' : text.slice(start, end)
}
