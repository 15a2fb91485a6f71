import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from './client.ts'
import { openClients, SMALL_GET } from './load.ts'

export interface FixedRateOptions {
  readonly port: number
  /** Requests a second. */
  readonly rate: number
  readonly seconds: number
  readonly connections: number
}

/**
 * Sends small GETs at a fixed rate, whether those before are answered or not, and resolves with the milliseconds from
 * when each was due to the last byte of its answer: one that waits for a free connection has that counted.
 */
export async function loadAtRate({ port, rate, seconds, connections }: FixedRateOptions): Promise<Float64Array> {
  const [request] = SMALL_GET.requests
  if (request === undefined) return new Float64Array()
  const latencies = new Float64Array(Math.floor(rate * seconds))
  const idle = await openClients(connections, { port, exchange: SMALL_GET })
  const all = [...idle]
  const dueTimes: number[] = []
  let begun = 0
  let done = 0
  let failed = false
  try {
    await new Promise<void>((resolve, reject) => {
      for (const client of all) {
        client.onFailure = reject
        client.watch()
      }
      const send = (client: Client, due: number) => {
        client.onAnswer = () => {
          latencies[done++] = performance.now() - due
          const waiting = dueTimes[begun]
          if (waiting === undefined) idle.push(client)
          else {
            begun++
            send(client, waiting)
          }
          if (done === latencies.length) resolve()
        }
        client.send(request)
      }
      void schedule(rate, latencies.length, (due) => {
        dueTimes.push(due)
        const client = idle.pop()
        if (client !== undefined) {
          begun++
          send(client, due)
        }
        return !failed
      })
    })
    return latencies
  } finally {
    failed = done < latencies.length
    for (const client of all) client.close()
  }
}

/**
 * Calls back as often as it is time, while it is told to go on. Time counts from when the generator woke up, about once a millisecond: that it
 * cannot do so more often is no delay of the proxy.
 */
async function schedule(rate: number, count: number, onDue: (due: number) => boolean): Promise<void> {
  const start = performance.now()
  for (let sent = 0; sent < count; ) {
    const now = performance.now()
    for (const due = Math.min(count, Math.ceil(((now - start) / 1_000) * rate)); sent < due; sent++) {
      if (!onDue(now)) return
    }
    await sleep(1)
  }
}
