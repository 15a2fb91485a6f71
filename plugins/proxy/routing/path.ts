/** A request target, taken apart. `path` and `query` are the client's bytes. */
export interface RequestTarget {
  /** The path as it came; `*` for `OPTIONS *`, `/` where an absolute form has none. */
  readonly path: string
  /** The query with its leading `?`; `''` if there is none. */
  readonly query: string
  /** The path in its one canonical spelling: the string that routes are matched against. */
  readonly match: string
  /** The authority of an absolute-form target, which then stands in for the Host header. */
  readonly authority: string | undefined
}

const PERCENT = 0x25
const DOT = 0x2e
const SLASH = 0x2f
const SEMICOLON = 0x3b
const QUESTION = 0x3f
const BACKSLASH = 0x5c

const PLAIN = 0
const ODD = 1
const BAD = 2

// RFC 3986, section 3.3: pchar without percent-escapes.
const SEGMENT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@"

// By byte: may stand in a path as it is, needs a closer look (escapes, and what RFC 3986 wants escaped), or is refused.
const KINDS = new Uint8Array(256).fill(ODD).fill(BAD, 0, 0x21)
for (const char of `${SEGMENT}/`) KINDS[char.charCodeAt(0)] = PLAIN
for (const char of '\\#?\x7f') KINDS[char.charCodeAt(0)] = BAD

const ABSOLUTE_FORM = /^https?:\/\//i

/**
 * Takes a request target apart (RFC 9112, section 3.2), or says why it must be refused. The path policy is the table in
 * `docs/routing.md`: what is not refused is forwarded byte for byte.
 */
export function readTarget(url: string, method: string): RequestTarget | string {
  if (url.charCodeAt(0) === SLASH) return readOrigin(url, 0, undefined)
  if (url === '*') return method === 'OPTIONS' ? asterisk(undefined) : 'asterisk form with a method other than OPTIONS'
  if (!ABSOLUTE_FORM.test(url)) return 'neither a path nor an http URL'

  const start = url.indexOf('//') + 2
  const length = url.slice(start).search(/[/?#]/)
  const authority = length === -1 ? url.slice(start) : url.slice(start, start + length)
  if (authority === '') return 'no host in the URL'
  if (length === -1) return method === 'OPTIONS' ? asterisk(authority) : rootOf(authority, '')
  if (url.charCodeAt(start + length) !== QUESTION) return readOrigin(url, start + length, authority)
  const query = url.slice(start + length)
  return queryFault(query, 0) ?? rootOf(authority, query)
}

/** What forbids forwarding a raw path; `undefined` if nothing does. */
export function pathFault(path: string): string | undefined {
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i)
    if (kindOf(code) === BAD) return describe(code)
  }
  return escapeFault(path) ?? dotSegmentFault(path)
}

/**
 * The canonical spelling of a path without faults: every byte is written in one way (RFC 3986, section 6.2.2), as itself
 * if it may stand in a segment and as an upper-case escape if not, and runs of slashes are one slash.
 */
export function canonicalPath(path: string): string {
  let result = ''
  let previous = 0
  for (let i = 0; i < path.length; i++) {
    let code = path.charCodeAt(i)
    const escaped = code === PERCENT
    if (escaped) {
      code = escapeAt(path, i)
      i += 2
    } else if (code === SLASH && previous === SLASH) {
      continue
    }
    previous = escaped ? 0 : code
    const literal = kindOf(code) === PLAIN && !(escaped && code === SLASH)
    result += literal ? String.fromCharCode(code) : escapeOf(code)
  }
  return result
}

/** A path from the configuration as it would be sent: characters that no request line can hold are escaped as UTF-8. */
export function encodePath(path: string): string {
  return path.replace(/[^\x21-\x7e]/gu, encodeURIComponent)
}

function readOrigin(url: string, start: number, authority: string | undefined): RequestTarget | string {
  let plain = true
  let previous = 0
  let end = start
  for (; end < url.length; end++) {
    const code = url.charCodeAt(end)
    if (code === QUESTION) break
    const kind = kindOf(code)
    if (kind === BAD) return describe(code)
    if (kind === ODD || (previous === SLASH && (code === SLASH || code === DOT))) plain = false
    previous = code
  }
  const fault = queryFault(url, end)
  if (fault !== undefined) return fault

  const path = url.slice(start, end)
  const query = url.slice(end)
  if (plain) return { path, query, match: path, authority }
  return escapeFault(path) ?? dotSegmentFault(path) ?? { path, query, match: canonicalPath(path), authority }
}

function asterisk(authority: string | undefined): RequestTarget {
  return { path: '*', query: '', match: '*', authority }
}

function rootOf(authority: string, query: string): RequestTarget {
  return { path: '/', query, match: '/', authority }
}

// The query is the target's own business, except for bytes that would end the request line early.
function queryFault(url: string, start: number): string | undefined {
  for (let i = start; i < url.length; i++) {
    const code = url.charCodeAt(i)
    if (code <= 0x20 || code === 0x7f || code > 0xff) return describe(code)
  }
  return undefined
}

function escapeFault(path: string): string | undefined {
  for (let i = path.indexOf('%'); i !== -1; i = path.indexOf('%', i + 3)) {
    const code = escapeAt(path, i)
    if (code === -1) return 'malformed percent-escape'
    if (code === 0) return 'encoded NUL'
  }
  return undefined
}

/**
 * Looks for `.` and `..` the way the most lenient target might: escapes decoded once, `%2F`, `%5C` and a backslash taken
 * as separators, and `;parameters` of a segment left out.
 */
function dotSegmentFault(path: string): string | undefined {
  let dots = 0
  let named = false
  let parameters = false
  for (let i = 0; i <= path.length; i++) {
    let code = i === path.length ? SLASH : path.charCodeAt(i)
    if (code === PERCENT) {
      code = escapeAt(path, i)
      i += 2
    }
    if (code === SLASH || code === BACKSLASH) {
      if (!named && (dots === 1 || dots === 2)) return 'dot segment'
      dots = 0
      named = false
      parameters = false
    } else if (code === SEMICOLON) parameters = true
    else if (parameters) continue
    else if (code === DOT) dots++
    else named = true
  }
  return undefined
}

function kindOf(code: number): number {
  return KINDS[code] ?? BAD
}

function escapeAt(path: string, at: number): number {
  const high = hexValue(path.charCodeAt(at + 1))
  const low = hexValue(path.charCodeAt(at + 2))
  return high === -1 || low === -1 ? -1 : high * 16 + low
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function escapeOf(code: number): string {
  return `%${code < 16 ? '0' : ''}${code.toString(16).toUpperCase()}`
}

function describe(code: number): string {
  if (code === BACKSLASH) return 'backslash'
  if (code === QUESTION) return 'question mark in the path'
  if (code === 0x23) return 'fragment'
  return code > 0xff ? 'character that is not a byte' : 'space or control character'
}
