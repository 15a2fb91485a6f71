import { createServer, type Server, type Socket } from 'node:net'
import { portOf } from './helper.ts'
import { RequestReader } from './request-reader.ts'

/** A request as a target sees it. */
export interface Visit {
  readonly socket: Socket
  readonly method: string
  /** Path and query. */
  readonly url: URL
  readonly head: string
  /** The port from which the gateway came. */
  readonly port: number
  /** Bytes of the body so far, without framing. */
  bytes: number
  /** The request was read to its end. */
  complete: boolean
}

/** What a target does with a request. */
export interface Behaviour {
  onHead?(visit: Visit): void
  onBody?(visit: Visit, chunk: Buffer): void
  /** The whole request is there. */
  onEnd?(visit: Visit): void
}

export interface ChaosTarget {
  readonly url: string
  /** Every request so far. */
  readonly visits: Visit[]
  readonly sockets: Set<Socket>
  close(): void
}

/** A TCP target that does with each request what its path asks for: `/NAME/...` stands for the behaviour of that name. */
export async function startChaosTarget(behaviours: Readonly<Record<string, Behaviour>>): Promise<ChaosTarget> {
  const visits: Visit[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    read(socket, behaviours, visits)
  })
  await listen(server)
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    visits,
    sockets,
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}

function read(socket: Socket, behaviours: Readonly<Record<string, Behaviour>>, visits: Visit[]): void {
  let visit: Visit | undefined
  let behaviour: Behaviour = {}
  const reader = new RequestReader({
    onHead: (head) => {
      const [method = '', target = ''] = head.split(' ', 2)
      const url = new URL(target, 'http://chaos.test')
      const found = behaviours[url.pathname.split('/')[1] ?? '']
      if (found === undefined) throw new Error(`no behaviour for ${target}`)
      behaviour = found
      visit = { socket, method, url, head, port: socket.remotePort ?? 0, bytes: 0, complete: false }
      visits.push(visit)
      behaviour.onHead?.(visit)
    },
    onBody: (chunk) => {
      if (visit === undefined) return
      visit.bytes += chunk.length
      behaviour.onBody?.(visit, chunk)
    },
    onEnd: () => {
      if (visit === undefined) return
      visit.complete = true
      behaviour.onEnd?.(visit)
    }
  })
  socket.on('data', (chunk: Buffer) => reader.push(chunk))
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
}
