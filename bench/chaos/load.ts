import { Agent, get } from 'node:http'

export interface ChaosLoad {
  readonly port: number
  readonly perSecond: number
  readonly seconds: number
}

export interface ChaosLoadResult {
  readonly requests: number
  /** What clients saw instead of a 200 with the right body, and how often. */
  readonly errors: ReadonlyMap<string, number>
  /** Milliseconds to the last byte, of all requests. */
  readonly latencies: readonly number[]
}

/** Milliseconds between two moments at which requests are sent. */
const BEAT = 5

/** GET requests at a steady rate, whether those before them are answered or not. */
export async function steadyLoad({ port, perSecond, seconds }: ChaosLoad): Promise<ChaosLoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const latencies: number[] = []
  const errors = new Map<string, number>()
  const total = Math.round(perSecond * seconds)
  const answers: Promise<void>[] = []
  const begin = performance.now()
  await new Promise<void>((resolve) => {
    const beat = setInterval(() => {
      const due = Math.min(total, ((performance.now() - begin) / 1_000) * perSecond)
      while (answers.length < due) {
        const path = `/${answers.length}`
        const start = performance.now()
        const answer = ask(port, path, agent).then((error) => {
          latencies.push(performance.now() - start)
          if (error !== undefined) errors.set(error, (errors.get(error) ?? 0) + 1)
        })
        answers.push(answer)
      }
      if (answers.length < total) return
      clearInterval(beat)
      resolve()
    }, BEAT)
  })
  await Promise.all(answers)
  agent.destroy()
  return { requests: total, errors, latencies }
}

/** Resolves with what is wrong with the answer. */
function ask(port: number, path: string, agent: Agent): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => {})
      response.on('close', () => {
        const { statusCode = 0, complete } = response
        if (statusCode !== 200) resolve(String(statusCode))
        else if (!complete) resolve('cut')
        else resolve(Buffer.concat(chunks).toString() === path ? undefined : 'another body')
      })
    })
    request.on('error', () => resolve('no answer'))
  })
}
