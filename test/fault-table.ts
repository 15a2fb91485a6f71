import type { Socket } from 'node:net'
import type { Behaviour } from './chaos-target.ts'

/** What a client gets. */
export type Outcome =
  | { readonly status: number; readonly code?: string; readonly body?: string }
  /** The response has begun, and ends in a way that shows that it is not complete. */
  | 'cut'

type Again = 'all' | 'idempotent' | 'none'

/** One fault of a target, and what it leads to. */
export interface Fault {
  /** What the target does. */
  readonly fault: string
  /** How the target is reached, where that is the fault. */
  readonly address?: 'refused' | 'unresolved' | 'no TLS' | 'silent'
  readonly behaviour?: Behaviour
  readonly outcome: Outcome
  /** The outcome where a hook sees the response, if it is another. */
  readonly hooked?: Outcome
  /** The outcome while a large body is being sent, if it is another. */
  readonly uploading?: Outcome
  /** Which requests go to another target. */
  readonly again: Again
  /** The same where a hook sees the response, if it differs. */
  readonly hookedAgain?: Again
  /** Whether the connection to the target is used again; it depends on timing with an upload. */
  readonly kept: boolean
  /** It takes a timeout to notice. */
  readonly waits?: true
  /** Bytes of a large body. */
  readonly upload?: number
}

const CLOSED = { status: 502, code: 'FST_GATEWAY_TARGET_CLOSED' }
const UNREACHED = { status: 502, code: 'FST_GATEWAY_CONNECT_FAILED' }
const MALFORMED = { status: 502, code: 'FST_GATEWAY_BAD_RESPONSE' }
const UNCONNECTED = { status: 504, code: 'FST_GATEWAY_CONNECT_TIMEOUT' }
const UNANSWERED = { status: 504, code: 'FST_GATEWAY_RESPONSE_TIMEOUT' }
const IDLE = { status: 504, code: 'FST_GATEWAY_IDLE_TIMEOUT' }
const FINE = { status: 200, body: 'fine' }
const BIG = { status: 413, body: 'too big' }

const OK = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const WHOLE = `${OK}Content-Length: 4\r\n\r\nfine`
const TOO_BIG = 'HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\ntoo big'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n'
const LARGE = `${OK}Content-Length: 200000\r\n\r\n${'x'.repeat(100_000)}`

/** Sends these bytes once the request is complete. */
const answers = (bytes: string): Behaviour => ({ onEnd: ({ socket }) => socket.write(bytes, 'latin1') })

/** Sends these bytes, and resets the connection once they are on their way. */
const resetsAfter = (bytes: string): Behaviour => ({ onEnd: ({ socket }) => writeAndReset(socket, bytes) })

/** Sends these bytes, and closes its side in order. */
const closesAfter = (bytes: string): Behaviour => ({ onEnd: ({ socket }) => socket.end(bytes, 'latin1') })

/** A fault as most are: nobody else is asked, and the connection is not used again. */
function fault(name: string, behaviour: Behaviour, outcome: Outcome, more: Partial<Fault> = {}): Fault {
  return { fault: name, behaviour, outcome, again: 'none', kept: false, ...more }
}

const unreached = (
  name: string,
  address: NonNullable<Fault['address']>,
  outcome: Outcome,
  more: Partial<Fault> = {}
): Fault => fault(name, {}, outcome, { address, again: 'all', ...more })
const closed = (name: string, behaviour: Behaviour): Fault => fault(name, behaviour, CLOSED, { again: 'idempotent' })
const malformed = (name: string, bytes: string): Fault => fault(name, answers(bytes), MALFORMED)

/** What targets do wrong, and what each of it leads to; in the order of the documentation. */
export const faults: readonly Fault[] = [
  unreached('refuses the connection', 'refused', UNREACHED),
  unreached('has a name that cannot be resolved', 'unresolved', UNREACHED),
  unreached('fails the TLS handshake', 'no TLS', UNREACHED),
  unreached('lets the connection wait', 'silent', UNCONNECTED, { waits: true }),
  closed('resets the connection before it answers', resetsAfter('')),
  closed('closes the connection before it answers', closesAfter('')),
  closed('resets the connection before it has the request', { onHead: ({ socket }) => socket.resetAndDestroy() }),
  closed('resets the connection within the head', resetsAfter(`${OK}Content-Le`)),
  closed('closes the connection after informational responses', closesAfter(HINTS)),
  fault('does not answer', {}, UNANSWERED, { waits: true }),
  fault('does not read', { onHead: ({ socket }) => socket.pause() }, UNANSWERED, {
    uploading: IDLE,
    upload: 24 * 1024 * 1024,
    waits: true
  }),
  fault('stops within the head', answers(`${OK}Content-Le`), UNANSWERED, { waits: true }),
  malformed('speaks another protocol', 'SSH-2.0-OpenSSH_9.9\r\n'),
  malformed('sends a malformed head', `${OK}Content-Length : 4\r\n\r\nfine`),
  malformed('sends a head of more than 64 KiB', `${OK}X-Long: ${'x'.repeat(65_536)}\r\n\r\n`),
  fault(
    'sends header lines without end',
    { onEnd: ({ socket }) => writeForEver(socket, OK, `X-Line: ${'x'.repeat(1_000)}\r\n`) },
    MALFORMED
  ),
  malformed('announces two lengths', `${OK}Content-Length: 4\r\nContent-Length: 5\r\n\r\nfine`),
  malformed('announces a length and chunks', `${OK}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nfine`),
  malformed('announces a negative length', `${OK}Content-Length: -4\r\n\r\nfine`),
  malformed('sends informational responses without end', HINTS.repeat(40)),
  malformed('switches protocols unasked', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'),
  malformed('begins with a malformed chunk', `${CHUNKED}fine\r\n`),
  fault('resets the connection after the head', resetsAfter(`${OK}Content-Length: 4\r\n\r\n`), 'cut', {
    hooked: CLOSED,
    hookedAgain: 'idempotent'
  }),
  fault('resets the connection within a body', resetsAfter(`${OK}Content-Length: 4\r\n\r\nfi`), 'cut', {
    hooked: CLOSED,
    hookedAgain: 'idempotent'
  }),
  fault('closes the connection within a body', closesAfter(`${OK}Content-Length: 5\r\n\r\nfine`), 'cut', {
    hooked: CLOSED,
    hookedAgain: 'idempotent'
  }),
  fault('resets the connection within a body of more than 64 KiB', resetsAfter(LARGE), 'cut'),
  fault('resets the connection between chunks', resetsAfter(`${CHUNKED}4\r\nfine\r\n`), 'cut'),
  fault('closes the connection between chunks', closesAfter(`${CHUNKED}4\r\nfine\r\n`), 'cut'),
  fault(
    'resets the connection within a body that the end of the connection would end',
    resetsAfter(`${OK}Connection: close\r\n\r\nfine`),
    'cut'
  ),
  fault(
    'goes on with a malformed chunk',
    { onEnd: ({ socket }) => writeInTurn(socket, [CHUNKED, '4\r\nfine\r\n', 'x\r\n']) },
    'cut'
  ),
  fault('stops within a body', answers(`${CHUNKED}4\r\nfine\r\n`), 'cut', { waits: true }),
  fault('sends more than the announced length', answers(`${WHOLE}${WHOLE}`), FINE),
  fault('closes the connection after the answer, unannounced', closesAfter(WHOLE), FINE),
  fault('sends one byte at a time', { onEnd: ({ socket }) => writeInTurn(socket, [...WHOLE]) }, FINE, { kept: true }),
  fault('answers before it has the body, and reads on', { onHead: ({ socket }) => socket.write(TOO_BIG) }, BIG, {
    kept: true
  }),
  fault(
    'answers before it has the body, and closes the connection',
    { onHead: ({ socket }) => socket.pause().end(TOO_BIG, () => socket.destroy()) },
    BIG
  ),
  fault(
    'answers before it has the body, and resets the connection',
    { onHead: ({ socket }) => writeAndReset(socket.pause(), TOO_BIG) },
    BIG
  )
]

function writeAndReset(socket: Socket, bytes: string): void {
  if (bytes === '') socket.resetAndDestroy()
  else socket.write(bytes, 'latin1', () => socket.resetAndDestroy())
}

/** Writes pieces so that each is read by itself. */
function writeInTurn(socket: Socket, [piece, ...rest]: readonly string[]): void {
  if (piece === undefined || socket.destroyed) return
  socket.write(piece, 'latin1', () => setImmediate(writeInTurn, socket, rest))
}

function writeForEver(socket: Socket, first: string, piece: string): void {
  socket.write(first, 'latin1')
  const writeOn = () => {
    while (!socket.destroyed && socket.write(piece, 'latin1'));
  }
  socket.on('drain', writeOn)
  writeOn()
}
