import { Agent, type ClientRequest, request } from 'node:http'

/** What clients saw that asked all the time. */
export interface Seen {
  /** Answers by their body. */
  readonly bodies: Map<string, number>
  /** Everything that was not an answer with status 200. */
  readonly failures: string[]
}

/** Milliseconds that a client waits before its next request: long enough for a connection to be closed under it. */
const PAUSE = 20

/** Clients that send one request after the other, on connections that they keep or on a new one for each. */
export class SteadyLoad {
  readonly seen: Seen = { bodies: new Map(), failures: [] }
  readonly #base: string
  readonly #clients: Promise<void>[]
  #stopped = false

  constructor(base: string, { keeping, renewing }: { keeping: number; renewing: number }) {
    this.#base = base
    const numbers = Array.from({ length: keeping + renewing }, (_, index) => index)
    this.#clients = numbers.map((index) => this.#run(new Agent({ keepAlive: index < keeping, maxSockets: 1 })))
  }

  async stop(): Promise<Seen> {
    this.#stopped = true
    await Promise.all(this.#clients)
    return this.seen
  }

  async #run(agent: Agent): Promise<void> {
    while (!this.#stopped) {
      const body = await this.#ask(agent).catch((error: Error) => {
        this.seen.failures.push(error.message)
      })
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
      if (body !== undefined) this.seen.bodies.set(body, (this.seen.bodies.get(body) ?? 0) + 1)
    }
    agent.destroy()
  }

  #ask(agent: Agent): Promise<string> {
    return new Promise((resolve, reject) => {
      // A POST, which nobody may repeat in silence.
      const sent: ClientRequest = request(this.#base, { method: 'POST', agent }, (response) => {
        let body = ''
        response.setEncoding('latin1')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode === 200) resolve(body)
          else reject(new Error(`status ${response.statusCode}: ${body}`))
        })
      })
      sent.on('error', reject)
      sent.end('order')
    })
  }
}
