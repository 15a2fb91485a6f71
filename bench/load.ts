import { connect, type Socket } from 'node:net'

export interface LoadOptions {
  readonly port: number
  readonly requests: number
  readonly connections: number
}

export interface LoadResult {
  readonly seconds: number
  /** Milliseconds from the write of each request to the last byte of its answer. */
  readonly latencies: Float64Array
}

const REQUEST = Buffer.from(
  'GET /users/42?full=1 HTTP/1.1\r\nhost: bench.example\r\naccept: */*\r\nuser-agent: bench\r\n\r\n'
)
const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * Sends small GET requests over keep-alive connections, one at a time on each, as fast as they are answered.
 * Anything but a 200 with a content-length is an error: a fast failure must not pass for a good result.
 */
export async function load({ port, requests, connections }: LoadOptions): Promise<LoadResult> {
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
      let received: Buffer = Buffer.alloc(0)
      let sentAt = 0
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('connection closed under load')))
      socket.on('data', (chunk: Buffer) => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
        const length = answerLength(received)
        if (Number.isNaN(length) || (length >= 0 && received.length > length)) {
          reject(new Error(`unexpected answer: ${received.toString('latin1')}`))
          return
        }
        if (length < 0 || received.length < length) return
        received = Buffer.alloc(0)
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
        socket.write(REQUEST)
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

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}
