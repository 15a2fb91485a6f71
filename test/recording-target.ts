import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { startRawTarget } from './helper.ts'

/** A request as its bytes came, one character a byte. */
export interface Recorded {
  /** Request line and header lines, without the empty line. */
  head: string
  /** The body as it was framed: chunk sizes and trailers included. */
  body: string
  /** Counts the connections of the target, from 0. */
  connection: number
}

export type Answer = (socket: Socket, request: Recorded, index: number) => void

export interface RecordingTarget {
  url: string
  requests: Recorded[]
  /** Open connections. */
  sockets: Set<Socket>
  /** How many connections there were. */
  connections(): number
}

export const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** A TCP target that writes down complete requests, bodies included, and answers each as told. */
export async function startRecordingTarget(t: TestContext, answer: string | Answer = OK): Promise<RecordingTarget> {
  const requests: Recorded[] = []
  let connections = 0
  const reply: Answer = typeof answer === 'string' ? (socket) => socket.write(answer, 'latin1') : answer
  const { url, sockets } = await startRawTarget(t, (socket) => {
    const connection = connections++
    let text = ''
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      for (let end = endOfRequest(text); end > 0; end = endOfRequest(text)) {
        const split = text.indexOf('\r\n\r\n')
        const request = { head: text.slice(0, split), body: text.slice(split + 4, end), connection }
        text = text.slice(end)
        requests.push(request)
        reply(socket, request, requests.length - 1)
      }
    })
  })
  return { url, requests, sockets, connections: () => connections }
}

/** The body without its framing. */
export function unframed({ head, body }: Recorded): string {
  if (!/^transfer-encoding: chunked$/im.test(head)) return body
  let content = ''
  let at = 0
  for (;;) {
    const line = body.indexOf('\r\n', at)
    const size = Number.parseInt(body.slice(at, line), 16)
    if (!(size > 0)) return content
    content += body.slice(line + 2, line + 2 + size)
    at = line + 4 + size
  }
}

/** Where the first request of the text ends, or 0 while it is not complete. */
function endOfRequest(text: string): number {
  const split = text.indexOf('\r\n\r\n')
  if (split < 0) return 0
  const head = text.slice(0, split)
  if (/^transfer-encoding: chunked$/im.test(head)) return endOfChunks(text, split + 4)
  const end = split + 4 + Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
  return text.length >= end ? end : 0
}

function endOfChunks(text: string, start: number): number {
  let at = start
  for (;;) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return 0
    const size = Number.parseInt(text.slice(at, line), 16)
    if (size === 0) {
      // Trailers, then an empty line; with none of them, the empty line follows at once.
      const end = text.indexOf('\r\n\r\n', line)
      return end < 0 ? 0 : end + 4
    }
    at = line + 4 + size
    if (at > text.length) return 0
  }
}

/** Answers by path; a target that answers nothing else. */
export function byPath(answers: Readonly<Record<string, string | Answer>>): Answer {
  return (socket, request, index) => {
    const answer = answers[request.head.split(' ')[1] ?? '']
    if (typeof answer === 'string') socket.write(answer, 'latin1')
    else answer?.(socket, request, index)
  }
}
