import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { portOf } from './helper.ts'

/** What a backend says that it got. */
export interface Echo {
  backend: string
  method: string
  url: string
  headers: NodeJS.Dict<string[]>
}

const BACKENDS = ['infra-backend-v1', 'infra-backend-v2', 'infra-backend-v3', 'echo-v1', 'echo-v2']
// As many as the attempts of the test with the most retries, since ours go to another target each time.
const ENDPOINTS = 6

/** The backends of the conformance tests. */
export interface Backends {
  /** URLs of some endpoints of a backend. */
  targetsOf(backend: string, count: number): string[]
  close(): void
}

export async function startBackends(): Promise<Backends> {
  const servers: Server[] = []
  const urls = new Map<string, string[]>()
  for (const backend of BACKENDS) {
    const tries = new Map<string, number>()
    for (let i = 0; i < ENDPOINTS; i++) {
      const server = createServer((request, response) => echo(backend, tries, request, response))
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
      urls.set(backend, [...(urls.get(backend) ?? []), `http://127.0.0.1:${portOf(server)}`])
      servers.push(server)
    }
  }
  return {
    targetsOf: (backend, count) => (urls.get(backend) ?? []).slice(0, count),
    close() {
      for (const server of servers) {
        server.closeAllConnections()
        server.close()
      }
    }
  }
}

/**
 * Answers with what it got, after `delay`, and with the headers that `X-Echo-Set-Header` lists. With `succeedAfter`, the
 * first so many tries fail: with `responseCode`, or with a reset of the connection, each after `delayRetry`.
 */
function echo(
  backend: string,
  tries: Map<string, number>,
  { method = '', url = '', headers, headersDistinct, socket }: IncomingMessage,
  response: ServerResponse
): void {
  const query = new URL(url, 'http://backend').searchParams
  const failed = tries.get(url) ?? 0
  const fails = failed < Number(query.get('succeedAfter'))
  if (fails) tries.set(url, failed + 1)

  const answer = () => {
    const status = query.get('responseCode')
    if (fails && status === null) {
      socket.resetAndDestroy()
      return
    }
    for (const pair of String(headers['x-echo-set-header'] ?? '').split(',')) {
      const colon = pair.indexOf(':')
      if (colon > 0) response.appendHeader(pair.slice(0, colon), pair.slice(colon + 1))
    }
    const got: Echo = { backend, method, url, headers: headersDistinct }
    // A reset on a connection that had been used before would not count as a try.
    if (query.has('succeedAfter')) response.setHeader('connection', 'close')
    response.statusCode = fails ? Number(status) : 200
    response.end(JSON.stringify(got))
  }

  const delay = toMilliseconds(query.get(fails ? 'delayRetry' : 'delay'))
  if (delay === 0) {
    answer()
    return
  }
  const timer = setTimeout(answer, delay)
  response.on('close', () => clearTimeout(timer))
}

/** `1s`, `150ms`; nothing is 0. */
function toMilliseconds(duration: string | null): number {
  const [, number = '0', unit] = /^(\d+)(ms|s)$/.exec(duration ?? '') ?? []
  return Number(number) * (unit === 's' ? 1000 : 1)
}
