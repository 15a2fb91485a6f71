import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import type { GatewayOptions } from '../plugins/config/index.ts'
import { startTarget } from './helper.ts'

/** An application that closes when the test ends. */
export function createApp(t: TestContext): FastifyInstance {
  const app = Fastify()
  t.after(() => app.close())
  return app
}

/** A target that says its name and what it was asked. */
export async function startNamed(t: TestContext, name: string): Promise<string> {
  const { url } = await startTarget(t, (request, response) => {
    response.setHeader('content-type', 'text/plain')
    response.end(`${name} ${request.url}`)
  })
  return url
}

/** One route to one upstream of one target. */
export function toOne(url: string, path = '/*'): GatewayOptions {
  return { upstreams: { api: { targets: [url] } }, routes: [{ id: 'api', match: { path }, upstream: 'api' }] }
}

/** What the application answers to GET requests, one after the other. */
export async function bodiesOf(app: FastifyInstance, urls: readonly string[]): Promise<string[]> {
  const bodies = []
  for (const url of urls) bodies.push((await app.inject(url)).body)
  return bodies
}
