import type { RequestListener } from 'node:http'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { startTarget } from './helper.ts'

export interface Setup {
  app: FastifyInstance
  /** Requests that the target has seen, as `METHOD path`. */
  seen: string[]
}

/** An example in front of one target. */
export async function start(
  t: TestContext,
  build: (targetUrl: string) => Promise<FastifyInstance>,
  handler: RequestListener = (_request, response) => response.end('from the target')
): Promise<Setup> {
  const seen: string[] = []
  const { url } = await startTarget(t, (request, response) => {
    seen.push(`${request.method} ${request.url}`)
    handler(request, response)
  })
  const app = await build(url)
  t.after(() => app.close())
  return { app, seen }
}
