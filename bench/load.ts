import { Client, type ClientOptions } from './client.ts'
import { type Exchange, http, requestOf } from './exchanges.ts'

export interface LoadOptions {
  readonly port: number
  readonly requests: number
  readonly connections: number
  /** @default a small GET */
  readonly exchange?: Exchange
  /** @default false */
  readonly tls?: boolean | undefined
}

export interface LoadResult {
  readonly seconds: number
  /** Milliseconds from the write of each request to the last byte of its answer. */
  readonly latencies: Float64Array
}

export const SMALL_GET: Exchange = http(requestOf('GET', '/users/42?full=1'))

/** Sends requests, one at a time on each connection, as fast as they are answered. Rejects with the first failure. */
export async function load({
  port,
  requests,
  connections,
  exchange = SMALL_GET,
  tls
}: LoadOptions): Promise<LoadResult> {
  const latencies = new Float64Array(requests)
  const clients = await openClients(connections, { port, exchange, tls })
  let begun = 0
  let done = 0
  const start = performance.now()
  try {
    await Promise.all(clients.map(serve))
    return { seconds: (performance.now() - start) / 1_000, latencies }
  } finally {
    for (const client of clients) client.close()
  }

  function serve(client: Client): Promise<void> {
    return new Promise((resolve, reject) => {
      let sentAt = 0
      const next = () => {
        const request = exchange.requests[begun % exchange.requests.length]
        if (begun === requests || request === undefined) {
          resolve()
          return
        }
        begun++
        sentAt = performance.now()
        client.send(request)
      }
      client.onFailure = reject
      client.onAnswer = () => {
        latencies[done++] = performance.now() - sentAt
        next()
      }
      client.watch()
      next()
    })
  }
}

/** As many clients; all of them, or none. */
export async function openClients(count: number, options: Omit<ClientOptions, 'number'>): Promise<Client[]> {
  const opened = await Promise.allSettled(
    Array.from({ length: count }, (_, number) => Client.open({ ...options, number }))
  )
  const clients = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = opened.find((result) => result.status === 'rejected')
  if (failed === undefined) return clients
  for (const client of clients) client.close()
  throw failed.reason
}
