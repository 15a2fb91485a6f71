/** A response as its bytes tell. Text has one character a byte. */
export interface SeenResponse {
  readonly status: number
  /** Status line and headers. */
  readonly head: string
  /** Without chunk framing. */
  readonly body: string
  readonly trailers: string
  readonly complete: boolean
}

/**
 * Reads all responses in what a client has received. Bytes that are no response are one with status 0. `methods` are
 * those of the requests, in order: a response to HEAD has no body. `ended`: the connection was closed in order.
 */
export function readResponses(text: string, methods: readonly string[], ended: boolean): SeenResponse[] {
  const responses: SeenResponse[] = []
  let rest = text
  let answered = 0
  while (rest !== '') {
    const response = readResponse(rest, methods[answered] ?? 'GET', ended)
    responses.push(response)
    if (response.status === 101 || !response.complete) break
    if (response.status >= 200) answered++
    rest = rest.slice(response.size)
  }
  return responses
}

/** The responses that end an exchange. */
export function finalOnly(responses: readonly SeenResponse[]): SeenResponse[] {
  return responses.filter(({ status }) => status === 101 || status < 100 || status >= 200)
}

/** What in the head of a response two clients might read in two ways. */
export function headFaults({ status, head }: SeenResponse): string[] {
  const [line = '', ...fields] = head.split('\r\n')
  const names = fields.map((field) => field.slice(0, field.indexOf(':')).toLowerCase())
  const framing = names.filter((name) => name === 'content-length' || name === 'transfer-encoding')
  const faults = fields.filter((field) => !FIELD.test(field))
  if (!STATUS_LINE.test(line)) faults.push(line)
  if (framing.length > 1) faults.push(framing.join(' and '))
  if (framing.length > 0 && (status < 200 || status === 204)) faults.push(`${framing} of a ${status}`)
  return faults
}

const STATUS_LINE = /^HTTP\/1\.1 \d{3} [\t\x20-\x7e\x80-\xff]*$/
const FIELD = /^[!#$%&'*+.^_`|~\w-]+:[\t\x20-\x7e\x80-\xff]*$/

function readResponse(text: string, method: string, ended: boolean): SeenResponse & { size: number } {
  const headEnd = text.indexOf('\r\n\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |\r\n)/.exec(text)?.[1] ?? 0)
  const head = headEnd < 0 ? text : text.slice(0, headEnd)
  if (headEnd < 0 || status === 0) return { status, head, body: '', trailers: '', complete: false, size: text.length }

  const bodyAt = headEnd + 4
  const field = (name: string) => new RegExp(`^${name}: *([^\\r]*)`, 'im').exec(head)?.[1]
  const length = field('content-length')
  const rest = text.slice(bodyAt)
  if (status === 101) return { status, head, body: rest, trailers: '', complete: true, size: text.length }
  // Where a head is broken, nobody can tell that it was one of HEAD. The connection ends there anyway.
  if (method === 'HEAD' && status >= 400 && field('connection') === 'close') {
    return { status, head, body: '', trailers: '', complete: true, size: text.length }
  }
  if (status < 200 || method === 'HEAD' || status === 204 || status === 304) {
    return { status, head, body: '', trailers: '', complete: true, size: bodyAt }
  }
  if (field('transfer-encoding') !== undefined) {
    const { size, ...chunks } = readChunks(rest)
    return { status, head, ...chunks, size: bodyAt + size }
  }
  const body = length === undefined ? rest : rest.slice(0, Number(length))
  const complete = length === undefined ? ended : body.length === Number(length)
  return { status, head, body, trailers: '', complete, size: bodyAt + body.length }
}

function readChunks(text: string): { body: string; trailers: string; complete: boolean; size: number } {
  let body = ''
  let at = 0
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    if (lineEnd < 0 || Number.isNaN(size)) return { body, trailers: '', complete: false, size: text.length }
    if (size === 0) {
      const end = text.indexOf('\r\n\r\n', lineEnd)
      const trailers = end < 0 ? '' : text.slice(lineEnd + 2, end)
      return { body, trailers, complete: end >= 0, size: end < 0 ? text.length : end + 4 }
    }
    body += text.slice(lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 4 + size
    if (at > text.length) return { body, trailers: '', complete: false, size: text.length }
  }
}
