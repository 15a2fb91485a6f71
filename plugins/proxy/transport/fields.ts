import { BadResponseError } from '../../errors.ts'

/** The fields of a head or trailer section, and what they say about framing and the connection. */
export interface Fields {
  readonly headers: string[]
  /** -1 when absent. */
  contentLength: number
  transferEncoding: string | undefined
  close: boolean
  keepAlive: boolean
  /** Seconds of `Keep-Alive: timeout=N`, -1 when absent. */
  keepAliveHint: number
}

const COLON = 58

/** 1 for the characters of a token (RFC 9110, section 5.6.2). */
const TOKEN = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN[char.charCodeAt(0)] = 1
}

/** Reads field lines from `start` to the end of `text`; lines end in CR LF but the last. Throws BadResponseError. */
export function readFields(text: string, start: number): Fields {
  const fields: Fields = {
    headers: [],
    contentLength: -1,
    transferEncoding: undefined,
    close: false,
    keepAlive: false,
    keepAliveHint: -1
  }
  let at = start
  while (at < text.length) {
    let end = text.indexOf('\r\n', at)
    if (end < 0) end = text.length
    readField(text, at, end, fields)
    at = end + 2
  }
  return fields
}

function readField(text: string, start: number, end: number, fields: Fields): void {
  let colon = start
  while (colon < end && TOKEN[text.charCodeAt(colon)] === 1) colon++
  if (colon === start || text.charCodeAt(colon) !== COLON) throw new BadResponseError('bad header name')

  let from = colon + 1
  let to = end
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    if ((code < 32 && code !== 9) || code === 127) throw new BadResponseError('control byte in a header value')
  }

  const name = text.slice(start, colon)
  const value = text.slice(from, to)
  fields.headers.push(name, value)
  // Only five names say something about the message itself; their lengths single them out cheaply.
  const length = colon - start
  if (length === 14 || length === 17 || length === 10 || length === 16) {
    noteField(name.toLowerCase(), value, text.slice(to, end), fields)
  }
}

function noteField(name: string, value: string, blanks: string, fields: Fields): void {
  if (name === 'content-length') {
    if (fields.contentLength !== -1) throw new BadResponseError('repeated content-length')
    if (hasTab(blanks)) throw new BadResponseError('bad content-length')
    fields.contentLength = readLength(value)
  } else if (name === 'transfer-encoding') {
    if (fields.transferEncoding !== undefined) throw new BadResponseError('repeated transfer-encoding')
    if (hasTab(blanks)) throw new BadResponseError('bad transfer-encoding')
    fields.transferEncoding = value
  } else if (name === 'connection' || name === 'proxy-connection') {
    // The old name of the field (RFC 9112, appendix C.2.2) is believed where it says no more than "close".
    for (const token of value.toLowerCase().split(',')) {
      const word = token.trim()
      if (word === 'close') fields.close = true
      else if (word === 'keep-alive' && name === 'connection') fields.keepAlive = true
    }
  } else if (name === 'keep-alive') {
    const hint = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)
    if (hint !== null) fields.keepAliveHint = Number(hint[1])
  }
}

/** OWS may be a tab (RFC 9110, section 5.6.3), but behind what frames a message Node.js takes none, nor does anybody send one. */
function hasTab(blanks: string): boolean {
  return blanks.includes('\t')
}

/** Digits only, below 2^53. */
function readLength(value: string): number {
  if (!/^\d{1,16}$/.test(value)) throw new BadResponseError('bad content-length')
  const length = Number(value)
  if (length > Number.MAX_SAFE_INTEGER) throw new BadResponseError('content-length too large')
  return length
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
