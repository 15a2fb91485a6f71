/** A request as a parser that guesses nothing reads it. Text has one character a byte. */
export interface SeenRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  /** In order, names as spelt. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly trailers: (readonly [name: string, value: string])[]
  body: string
  complete: boolean
}

export interface ReaderOptions {
  /**
   * Takes what RFC 9112 lets a client send and a gateway has no reason to: an empty line before a request, HTTP/1.0,
   * chunk extensions; and any number of hosts, since these do not say where a message ends.
   */
  readonly client?: boolean
  readonly onHead?: (request: SeenRequest) => void
  readonly onRequest?: (request: SeenRequest) => void
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e\\x80-\\xff]+) (HTTP/1\\.[01])$`)
const FIELD = new RegExp(`^(${TOKEN}):[ \\t]*([\\t\\x20-\\x7e\\x80-\\xff]*?)[ \\t]*$`)
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,15})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/
/** Names that mean something before the body only (RFC 9110, section 6.5.1). */
const NOT_IN_TRAILERS = /^(?:content-length|transfer-encoding|host|connection|te|trailer|expect|authorization|cookie)$/i

/**
 * Reads requests from what a target receives, and notes as a fault whatever a second parser might read in another way:
 * the invariant of a gateway is that there is none. After the first fault nothing more is read.
 */
export class StrictRequestReader {
  readonly requests: SeenRequest[] = []
  readonly faults: string[] = []

  private readonly options: ReaderOptions
  private text = ''
  private current: SeenRequest | undefined = undefined
  /** Bytes to come of a body or chunk with a length; -1 = a line is next. */
  private remaining = -1
  private chunked = false
  private inTrailers = false

  constructor(options: ReaderOptions = {}) {
    this.options = options
  }

  /** Whether nothing is left of an unfinished message. */
  get atRest(): boolean {
    return this.current === undefined && this.text === ''
  }

  push(bytes: Buffer | string): void {
    this.text += typeof bytes === 'string' ? bytes : bytes.toString('latin1')
    while (this.faults.length === 0 && this.step()) {}
  }

  /** Takes the next piece. False when more has to arrive first. */
  private step(): boolean {
    if (this.current === undefined) return this.readHead()
    if (this.remaining >= 0) return this.readBytes(this.current)
    return this.inTrailers ? this.readTrailer(this.current) : this.readChunkSize(this.current)
  }

  private readHead(): boolean {
    // Node.js skips these even one by one; they belong to no message.
    if (this.options.client === true && /^[\r\n]/.test(this.text)) {
      this.text = this.text.slice(1)
      return true
    }
    const end = this.text.indexOf('\r\n\r\n')
    if (end < 0) return this.wait()
    const [line = '', ...fields] = this.text.slice(0, end).split('\r\n')
    this.text = this.text.slice(end + 4)
    const [, method, target, version] = REQUEST_LINE.exec(line) ?? []
    if (method === undefined || target === undefined || version === undefined) return this.fault('request line', line)
    if (this.options.client !== true && version !== 'HTTP/1.1') return this.fault('version', line)

    const headers: [string, string][] = []
    for (const field of fields) {
      const [, name, value] = FIELD.exec(field) ?? []
      if (name === undefined || value === undefined) return this.fault('header line', field)
      headers.push([name, value])
    }
    const request = { method, target, version, headers, trailers: [], body: '', complete: false }
    this.current = request
    this.requests.push(request)
    if (!this.frame(request)) return false
    this.options.onHead?.(request)
    if (this.remaining === 0 && !this.chunked) this.end(request)
    return true
  }

  /** Finds out how the body ends (RFC 9112, section 6.3). False when that can be read in more than one way. */
  private frame(request: SeenRequest): boolean {
    const values = (wanted: string) =>
      request.headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value)
    const [hosts, lengths, codings] = [values('host'), values('content-length'), values('transfer-encoding')]
    const [length = '0'] = lengths
    this.chunked = codings.length > 0
    this.remaining = this.chunked ? -1 : Number(length)
    if (hosts.length !== 1 && this.options.client !== true) return this.fault('hosts', hosts.join(', '))
    if (lengths.length > 1) return this.fault('lengths', lengths.join(', '))
    if (!/^\d{1,15}$/.test(length)) return this.fault('length', length)
    if (codings.length > 1 || (codings[0] ?? 'chunked').toLowerCase() !== 'chunked')
      return this.fault('codings', codings.join(', '))
    if (this.chunked && lengths.length > 0) return this.fault('length and coding', length)
    if (this.chunked && request.version === 'HTTP/1.0') return this.fault('coding in HTTP/1.0', length)
    return true
  }

  private readBytes(request: SeenRequest): boolean {
    if (this.text === '' && (this.remaining > 0 || this.chunked)) return false
    const taken = this.text.slice(0, this.remaining)
    this.text = this.text.slice(taken.length)
    this.remaining -= taken.length
    request.body += taken
    if (this.remaining > 0) return false
    if (!this.chunked) {
      this.end(request)
      return true
    }
    if (this.text.length < 2) {
      // A single byte may be wrong already.
      return this.text === '' || this.text === '\r' ? false : this.fault('end of a chunk', this.text)
    }
    if (!this.text.startsWith('\r\n')) return this.fault('end of a chunk', this.text.slice(0, 2))
    this.text = this.text.slice(2)
    this.remaining = -1
    return true
  }

  private readChunkSize(request: SeenRequest): boolean {
    const line = this.readLine()
    if (line === undefined) return false
    const [, size, extension] = CHUNK_SIZE.exec(line) ?? []
    if (size === undefined) return this.fault('chunk size', line)
    if (extension !== undefined && this.options.client !== true) return this.fault('chunk extension', line)
    this.remaining = Number.parseInt(size, 16)
    if (this.remaining > 0) return true
    this.remaining = -1
    this.inTrailers = true
    return this.current === request
  }

  private readTrailer(request: SeenRequest): boolean {
    const line = this.readLine()
    if (line === undefined) return false
    if (line === '') {
      this.end(request)
      return true
    }
    const [, name, value] = FIELD.exec(line) ?? []
    if (name === undefined || value === undefined) return this.fault('trailer line', line)
    if (this.options.client !== true && NOT_IN_TRAILERS.test(name)) return this.fault('trailer', line)
    request.trailers.push([name, value])
    return true
  }

  private readLine(): string | undefined {
    const end = this.text.indexOf('\r\n')
    if (end < 0) {
      this.wait()
      return undefined
    }
    const line = this.text.slice(0, end)
    this.text = this.text.slice(end + 2)
    return line
  }

  /** More has to arrive; but a line that is wrong already need not be waited for. */
  private wait(): false {
    return /(?:^|[^\r])\n|\r[^\n]/.test(this.text) ? this.fault('line end', this.text) : false
  }

  private end(request: SeenRequest): void {
    this.current = undefined
    this.remaining = -1
    this.inTrailers = false
    request.complete = true
    this.options.onRequest?.(request)
  }

  private fault(what: string, where: string): false {
    this.faults.push(`${what}: ${JSON.stringify(where.slice(0, 80))}`)
    return false
  }
}
