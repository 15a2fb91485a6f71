import type { IncomingMessage, RequestListener } from 'node:http'
import type { TestContext } from 'node:test'
import type { Mirror } from '../plugins/proxy/index.ts'
import { eventually, type GatewaySketch, type RunningGateway, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

/** A request as a target got it. */
export interface Seen {
  method: string
  url: string
  raw: string[]
  headers: IncomingMessage['headers']
  body: string
  trailers: IncomingMessage['trailers']
}

/** A target that keeps what it gets, and answers with its name unless it is told otherwise. */
export async function startRecording(t: TestContext, name: string, handler?: RequestListener) {
  const seen: Seen[] = []
  const { url, sockets } = await startTarget(t, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', () => {
      const { method = '', url: path = '', rawHeaders: raw, headers, trailers } = request
      seen.push({ method, url: path, raw, headers, body: Buffer.concat(chunks).toString(), trailers })
      if (handler === undefined) response.end(name)
      else handler(request, response)
    })
  })
  return { url, seen, sockets }
}

export interface Mirrored extends RunningGateway {
  mirror: Mirror
  /** Resolves once nothing of the mirror is under way. */
  quiet(): Promise<void>
}

/** A gateway with a target and one mirror, of which `options` tell. */
export async function startMirrored(
  t: TestContext,
  primary: string,
  mirror: string,
  options: object = {},
  { route = {}, more = {}, ...sketch }: GatewaySketch = {}
): Promise<Mirrored> {
  const gateway = await startGateway(t, [primary], {
    ...sketch,
    more: { shadow: { targets: [mirror] }, ...more },
    route: { mirror: [{ upstream: 'shadow', ...options }], ...route }
  })
  const [first] = gateway.app.mirrors.list
  if (first === undefined) throw new Error('no mirror')
  return { ...gateway, mirror: first, quiet: () => eventually(() => first.inFlight === 0, 'a mirrored request stays') }
}

/** The counters that are not 0. */
export function countersOf({ counters }: Mirror): Record<string, number> {
  return Object.fromEntries(Object.entries(counters).filter(([, count]) => count > 0))
}
