import { randomBytes } from 'node:crypto'

/** What clients send again and again, and how they know that an answer is complete and right. */
export interface Exchange {
  /** Whole requests, sent in turn. */
  readonly requests: readonly Buffer[]
  /** Sent first on each connection, to be answered by a 101. */
  readonly handshake?: Buffer
  /** Clients have addresses of their own, and bring back the cookie that they were given first. @default false */
  readonly distinct?: boolean
  /** Bytes of the whole answer that begins here; -1 while that is not known, NaN if it is not what was asked for. */
  answerLength(received: Buffer): number
}

const HEAD_END = Buffer.from('\r\n\r\n')
const TEXT_FRAME = 0x81
const MASKED = 0x80

/** A request with this body length, as bytes. */
export function requestOf(method: string, path: string, bodyLength = 0, fields = ''): Buffer {
  const head = `${method} ${path} HTTP/1.1\r\nhost: bench.example\r\naccept: */*\r\nuser-agent: bench\r\n${fields}`
  const length = bodyLength === 0 ? '' : `content-length: ${bodyLength}\r\n`
  return Buffer.concat([Buffer.from(`${head}${length}\r\n`), Buffer.alloc(bodyLength, 'x')])
}

/** Anything but a 200 with a content-length is an error: a fast failure must not pass for a good result. */
export function http(...requests: Buffer[]): Exchange {
  return { requests, answerLength }
}

/** WebSocket messages of this length, up to 125 bytes, that come back as they are. */
export function echo(length: number): Exchange {
  const fields = `connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${randomBytes(16).toString('base64')}\r\n`
  // A mask of zeros leaves the text as it is.
  const frame = [Buffer.from([TEXT_FRAME, MASKED | length, 0, 0, 0, 0]), Buffer.alloc(length, 'x')]
  return {
    requests: [Buffer.concat(frame)],
    handshake: requestOf('GET', '/echo', 0, fields),
    answerLength: (received) => {
      if (received.length < 2) return -1
      return received[0] === TEXT_FRAME && received[1] === length ? length + 2 : Number.NaN
    }
  }
}

/** The length of a 101, which has nothing but a head. */
export function switchedLength(received: Buffer): number {
  const end = received.indexOf(HEAD_END)
  if (end < 0) return -1
  return received.toString('latin1', 0, 13) === 'HTTP/1.1 101 ' ? end + HEAD_END.length : Number.NaN
}

function answerLength(received: Buffer): number {
  const end = received.indexOf(HEAD_END)
  if (end < 0) return -1
  const head = received.toString('latin1', 0, end)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  return head.startsWith('HTTP/1.1 200 ') ? end + HEAD_END.length + Number(length) : Number.NaN
}
