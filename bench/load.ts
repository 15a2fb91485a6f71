import { connect, type Socket } from 'node:net'

export interface LoadOptions {
  readonly port: number
  readonly requests: number
  readonly connections: number
  /** A whole request, head and body. @default a small GET */
  readonly request?: Buffer
}

export interface LoadResult {
  readonly seconds: number
  /** Milliseconds from the write of each request to the last byte of its answer. */
  readonly latencies: Float64Array
}

/** Milliseconds without a byte after which no answer will come any more. */
const SILENCE = 10_000
const HEAD_END = Buffer.from('\r\n\r\n')

/** A request with this body length, as bytes. */
export function requestOf(method: string, path: string, bodyLength = 0): Buffer {
  const head = `${method} ${path} HTTP/1.1\r\nhost: bench.example\r\naccept: */*\r\nuser-agent: bench\r\n`
  const length = bodyLength === 0 ? '' : `content-length: ${bodyLength}\r\n`
  return Buffer.concat([Buffer.from(`${head}${length}\r\n`), Buffer.alloc(bodyLength, 'x')])
}

const SMALL_GET = requestOf('GET', '/users/42?full=1')

/**
 * Sends requests over keep-alive connections, one at a time on each, as fast as they are answered. Anything but a 200
 * with a content-length is an error: a fast failure must not pass for a good result.
 */
export async function load({ port, requests, connections, request = SMALL_GET }: LoadOptions): Promise<LoadResult> {
  const latencies = new Float64Array(requests)
  let begun = 0
  let done = 0
  const start = performance.now()
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = await open(port)
      await serve(socket).finally(() => socket.destroy())
    })
  )
  return { seconds: (performance.now() - start) / 1_000, latencies }

  function serve(socket: Socket): Promise<void> {
    return new Promise((resolve, reject) => {
      let head: Buffer = Buffer.alloc(0)
      /** Bytes of the answer still to come; negative while its head is incomplete. */
      let left = -1
      let sentAt = 0
      socket.setTimeout(SILENCE, () => reject(new Error('no answer')))
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('connection closed under load')))
      socket.on('data', (chunk: Buffer) => {
        if (left < 0) {
          head = head.length === 0 ? chunk : Buffer.concat([head, chunk])
          const length = answerLength(head)
          if (length === -1) return
          left = length - head.length
        } else {
          left -= chunk.length
        }
        if (Number.isNaN(left) || left < 0) {
          reject(new Error(`unexpected answer: ${head.toString('latin1', 0, 500)}`))
          return
        }
        if (left > 0) return
        head = Buffer.alloc(0)
        left = -1
        latencies[done++] = performance.now() - sentAt
        next()
      })
      next()

      function next() {
        if (begun === requests) {
          resolve()
          return
        }
        begun++
        sentAt = performance.now()
        socket.write(request)
      }
    })
  }
}

/** Bytes of the whole answer that begins here; -1 while its head is incomplete, NaN if it is not what was asked for. */
function answerLength(received: Buffer): number {
  const end = received.indexOf(HEAD_END)
  if (end < 0) return -1
  const head = received.toString('latin1', 0, end)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  return head.startsWith('HTTP/1.1 200 ') ? end + HEAD_END.length + Number(length) : Number.NaN
}

/** A connection to a local port. */
export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}
